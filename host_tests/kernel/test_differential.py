"""A few of the random conversations with the kernel; `make differential` plays thousands."""
import multiprocessing

import differential

SEEDS = 40


def test_random_conversations_with_the_kernel():
    with multiprocessing.Pool(2) as pool:
        results = pool.map(differential.attempt, range(1, SEEDS + 1), 1)
    assert [error for _, _, error in results if error] == []
    assert sum(talks for _, talks, _ in results) > 2 * SEEDS
