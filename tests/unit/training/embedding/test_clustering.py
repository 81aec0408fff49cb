"""Clusters of what looks alike, by weights of ours and by a model of timm, whatever the order of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mitorch_service.errors import DataError, ModelError
from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.embedding.backbone import Backbone, open_backbone
from mitorch_service.training.embedding.clustering import ClusterSearch, EmbeddingChoice
from mitorch_service.training.embedding.similarity import open_comparison
from mitorch_service.training.networks.network import build_detection_network
from tests.unit.training.pictures import write_colors

MODEL = "test_resnet"


@pytest.fixture
def images(tmp_path: Path) -> ImageList:
    """Noisy pictures in three colours, eight of each."""
    return read_image_list(write_colors(tmp_path, 24))


def test_colours_are_clusters_and_the_order_does_not_matter(images: ImageList, tmp_path: Path) -> None:
    told: list[str] = []
    search = ClusterSearch(EmbeddingChoice(MODEL, untrained=True, clusters=3), told.append)
    clusters, record = search(images)
    colours = [images.targets.labels_of(index)[0] for index in range(24)]
    assert len(set(zip(clusters, colours, strict=True))) == 3
    assert record == {"count": 3, "chosen_by": "--clusters", "backbone": f"{MODEL} (random weights)"}
    assert told == [f"looking at 24 images with {MODEL} (random weights)"]
    with Image.open(search.draw(["train"] * 18 + ["val"] * 6, images, tmp_path / "map.png")) as drawn:
        assert drawn.width > drawn.height > 400
    order = list(range(23, -1, -1))
    again, _ = ClusterSearch(EmbeddingChoice(MODEL, untrained=True, clusters=3), told.append)(images.select(order, "x"))
    assert [clusters[index] for index in order] == list(again)


def test_the_number_of_clusters_is_chosen_and_too_few_images_are_refused(images: ImageList) -> None:
    search = ClusterSearch(EmbeddingChoice(MODEL, untrained=True), lambda _: None)
    _, record = search(images)
    assert record["chosen_by"].startswith("the best silhouette score, ")
    with pytest.raises(DataError, match="9 images are too few to cluster"):
        search(images.select(range(9), "few"))


def test_pairs_are_compared_by_their_features(images: ImageList) -> None:
    similar = open_comparison(MODEL, untrained=True)([(images, 0), (images, 0)], [(images, 3), (images, 1)])
    assert 1 >= similar[0] > similar[1] >= -1
    assert np.array_equal(
        similar, open_comparison(MODEL, untrained=True)([(images, 0)] * 2, [(images, 3), (images, 1)])
    )


def test_a_detector_has_features(images: ImageList) -> None:
    network = build_detection_network(ModelConfig(name="test_resnet-ssdlite", input_size=64), 2)
    features = Backbone(network.module, network.mean, network.std, 64, "detector").features([(images, 0), (images, 1)])
    assert features.shape[0] == 2
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-5)


def test_weights_without_their_config_and_unknown_models_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "plain.pth")
    with pytest.raises(ModelError, match="the file has weights alone"):
        open_backbone(str(tmp_path / "plain.pth"))
    with pytest.raises(ModelError, match="--backbone no_such_model: there is no such file"):
        open_backbone("no_such_model", untrained=True)
