"""The length of a training."""

from __future__ import annotations

from dataclasses import dataclass

from mitorch_service.models.config.training_config import TrainingConfig


@dataclass(frozen=True)
class Length:
    """How much a training does, at most. An epoch ends with a validation; it is a pass over the images, or, of a
    training by steps (`max_steps`), as many steps as `eval_every` says, whose last one may be shorter."""

    epochs: int
    steps: int  # of an epoch
    total: int  # steps of all epochs
    by_steps: bool  # whether `max_steps` says the total
    pass_steps: int  # of a pass over the images
    images: int  # of a pass, including those of a skipped last batch
    batch_size: int  # of all processes together

    @classmethod
    def of(cls, config: TrainingConfig, pass_steps: int, images: int, fast_dev_run: bool = False) -> Length:
        """Returns the length that the config asks for, of data with so many steps in a pass."""
        if fast_dev_run or config.max_steps is None:
            epochs = 1 if fast_dev_run else config.max_epochs
            return cls(epochs, pass_steps, epochs * pass_steps, False, pass_steps, images, config.batch_size)
        steps = min(config.eval_every or pass_steps, config.max_steps)
        epochs = -(-config.max_steps // steps)
        return cls(epochs, steps, config.max_steps, True, pass_steps, images, config.batch_size)

    def steps_of(self, epoch: int) -> int:
        """The number of steps of an epoch (0 is the first)."""
        return min(self.steps, self.total - epoch * self.steps)

    def batch(self, step: int) -> int:
        """The number of images in the batch of a step, counted over the whole training, of all processes together."""
        return min(self.batch_size, self.images - step % self.pass_steps * self.batch_size)
