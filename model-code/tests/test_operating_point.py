"""The trade-off between labels and the confidence, as the validation part gives them."""

import numpy as np
import pytest
from ethnicity_prediction.metrics import calibration_error
from ethnicity_prediction.operating_point import TAUS, OperatingPoint, choose

PRIOR = np.array([0.9, 0.1])
PRIOR_OF_THREE = np.full(3, 1 / 3)


def sure_of_the_frequent(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Two labels told apart perfectly, but for a bias towards the frequent one."""
    codes = np.arange(rows) % 2
    evidence = np.where(codes == 0, 1.0, -1.0) * 0.3
    return np.stack([evidence, -evidence], axis=1) + 0.35 * np.log(PRIOR), codes


def test_a_bias_towards_the_frequent_label_is_taken_back():
    logits, codes = sure_of_the_frequent()
    assert (logits.argmax(axis=1) == codes).mean() == 0.5
    point = choose(logits, codes, PRIOR)
    assert ((logits - point.tau * np.log(PRIOR)).argmax(axis=1) == codes).all()


def test_without_anything_to_gain_the_answers_stay():
    codes = np.arange(100) % 2
    logits = np.where(np.eye(2)[codes] == 1, 9.0, -9.0)
    assert choose(logits, codes, PRIOR).tau == TAUS[0] == 0


def costly_fairness() -> tuple[np.ndarray, np.ndarray]:
    """A rare label whose every hit costs hits of the frequent one."""
    rng = np.random.default_rng(3)
    codes = (rng.random(4000) < PRIOR[1]).astype(int)
    evidence = rng.normal(np.where(codes == 0, 0.5, -0.5), 0.6)
    return np.stack([evidence, -evidence], axis=1) + np.log(PRIOR), codes


def recall_and_accuracy(least_recall: float) -> tuple[float, float]:
    logits, codes = costly_fairness()
    tau = choose(logits, codes, PRIOR, least_recall).tau
    predicted = (logits - tau * np.log(PRIOR)).argmax(axis=1)
    return (predicted[codes == 1] == 1).mean(), (predicted == codes).mean()


def test_every_label_gets_its_least_recall_at_the_least_cost_in_accuracy():
    logits, codes = costly_fairness()
    recall, accuracy = recall_and_accuracy(0.5)
    assert recall >= 0.5
    for tau in TAUS:
        predicted = (logits - tau * np.log(PRIOR)).argmax(axis=1)
        assert (predicted == codes).mean() <= accuracy or (predicted[codes == 1] == 1).mean() < 0.5


def test_a_recall_that_no_trade_off_gives_gets_as_near_as_one_does():
    assert recall_and_accuracy(0.99)[0] == max(recall_and_accuracy(x / 100)[0] for x in range(99))


@pytest.mark.parametrize("overconfidence", [0.5, 3.0])
def test_the_temperature_makes_confidence_mean_accuracy(overconfidence: float):
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (20_000, 3))
    chances = softmax(honest)
    codes = (rng.random((20_000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    told = honest * overconfidence
    point = choose(told, codes, PRIOR_OF_THREE)
    assert point.temperature == pytest.approx(overconfidence, rel=0.06)
    assert calibration_error(softmax(told), codes) > 0.08
    assert calibration_error(softmax(told / point.temperature), codes) < 0.02


@pytest.mark.parametrize("rows", [10, 100, 1000])
def test_rows_that_are_all_right_do_not_make_the_model_certain(rows: int):
    codes = np.repeat(np.arange(3), rows)
    logits = 8.0 * np.eye(3)[codes]
    confidence = softmax(logits / choose(logits, codes, PRIOR_OF_THREE).temperature).max(axis=1)
    assert confidence.mean() == pytest.approx((rows + 1) / (rows + 2), abs=0.005)


def test_rows_of_unknown_labels_say_nothing():
    logits, codes = sure_of_the_frequent()
    strange = np.concatenate([logits, logits]), np.concatenate([codes, np.full(len(codes), -1)])
    assert choose(*strange, PRIOR) == choose(logits, codes, PRIOR)
    assert choose(logits, np.full(len(codes), -1), PRIOR) == OperatingPoint()


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    certain = np.array([[1.0, 0.0]] * 4)
    assert calibration_error(certain, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    assert calibration_error(certain, np.zeros(4, int)) == 0


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
