"""Retrieval: what is drawn, what the loss is, what recall counts."""

import numpy as np
import tensorflow as tf

import losses
from benchmarks.workloads import two_tower


def test_interactions_follow_the_probabilities():
    truth = two_tower.probabilities()
    np.testing.assert_allclose(truth.sum(axis=1), 1, rtol=1e-12)
    data = two_tower.Retrieval().data()
    assert len(data.x_train) == two_tower.USERS * two_tower.TAKEN
    # The ten likeliest items of all users: as often as they should be, within 5 deviations.
    best = np.argsort(-truth, axis=1)[:, :10]
    share = np.take_along_axis(truth, best, axis=1).sum(axis=1).mean()
    deviation = np.sqrt(share * (1 - share) / len(data.x_train))
    found = two_tower.recall(best, data.x_train, data.y_train)
    assert abs(found - share) < 5 * deviation


def test_the_loss_is_infonce_where_all_items_are_equally_popular():
    task = two_tower.TwoTower(1e-3)
    users, items = tf.constant([3, 1, 4]), tf.constant([15, 9, 26])
    expected = losses.info_nce(
        task.item_tower(items), task.user_tower(users), temperature=1.0, normalize=False
    )
    np.testing.assert_allclose(task.loss((users, items)), expected, rtol=1e-5)
    # An item that was seen more often is a weaker wrong answer for the others.
    task.count(1e6 * two_tower.occurrences(tf.constant([9])))
    rarer = task.loss((users, items)).numpy()
    assert (rarer[[0, 2]] < np.asarray(expected)[[0, 2]]).all()


def test_the_right_item_of_another_user_is_no_wrong_one():
    task = two_tower.TwoTower(1e-3)
    users, items = tf.constant([3, 1]), tf.constant([15, 15])
    np.testing.assert_allclose(task.loss((users, items)), [0, 0], atol=1e-6)


def test_recall_and_occurrences():
    best = np.array([[1, 2], [3, 4]])
    assert two_tower.recall(best, np.array([0, 0, 1, 1]), np.array([2, 3, 3, 0])) == 0.5
    found = two_tower.occurrences(tf.constant([5, 7, 5])).numpy()
    assert found[5] == 2 and found[7] == 1 and found.sum() == 3
