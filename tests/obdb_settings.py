"""Settings files of obdb: that of its README, shortened where it lists recordings."""

from __future__ import annotations

from typing import Any

SETTINGS: dict[str, Any] = {
    "variants": ["resnet18", "resnet34"],
    "resnet18": {
        "run_hpo": 0,
        "optimal_hpo_settings": {
            "gamma": 0.03376820338738614,
            "lr": 3.934578332944719e-05,
            "momentum": 0.3317994388235662,
            "step_size": 3,
            "weight_decay": 0.5559432320028943,
        },
    },
    "resnet34": {"run_hpo": 1},
    "resnet50": {"run_hpo": 1},
    "max_plateau_count": 20,
    "search_epochs": 10,
    "num_initial_data_points": 5,
    "max_num_trials": 16,
    "annotations_list": ["FieldData 20200520145736 1L GH020068", "FieldData 20200515101008 3R GH070071"],
    "save_dir": "/train/pickled_weed",
    "writer_dir": "/train/runs",
    "dataset_dir": "/weed_data",
    "sherpa_parameters": {
        "lr": [0.000005, 0.001],
        "weight_decay": [0.00001, 0.9],
        "momentum": [0.1, 0.9],
        "step_size": [1, 5],
        "gamma": [0.01, 0.5],
    },
}
