"""Realistic programs for the tests of proposers; they are parsed and edited, never run."""

import random

from breeder.core import Elite, Evaluation, Placement, Program
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal, Proposer

PACKING = '''"""Online bin packing."""
import math
import numpy as np

LIMIT = 100

# EVOLVE-BLOCK-START
def features(item, bins):
    """Features of every bin."""
    gap = bins - item
    ratio = item / bins
    return gap, ratio


def priority(item: float, bins: np.ndarray) -> np.ndarray:
    """Score every bin for an item."""
    gap, ratio = features(item, bins)
    score = -gap
    score += 0.5 * np.sqrt(np.abs(gap) + 1e-3)
    if item > 0.5:
        score = score * 2.0
    else:
        score -= np.log1p(ratio) * 0.25
    best = np.argmax(score)
    for k in range(len(bins)):
        if gap[k] < 0.01 and k != best:
            score[k] += 1.5
        elif ratio[k] > 0.9:
            score[k] -= 10
    total = sum(value**2 for value in score)
    weights = [0.1, 0.2, 0.3]
    for i, w in enumerate(weights):
        score += w * gap**i  # a polynomial in the gap
    mask = gap < 0
    score[mask] = -np.inf
    score = np.where(ratio > 0.5, score + 1, score - 1)
    return score / math.sqrt(total)
# EVOLVE-BLOCK-END


def main():
    return priority(0.3, np.ones(4))
'''

TILING = """#include <math.h>
#include <stddef.h>

/* Chooses tile sizes for a matrix product. */
// EVOLVE-BLOCK-START
static int clamp(int value, int low, int high)
{
    if (value < low) return low;
    return value > high ? high : value;
}

void choose(int m, int n, int k, int cache, int *tile)
{
    double area = (double)cache / 8.0;
    int side = (int)sqrt(area / 3.0);
    int mb = clamp(side, 4, m);
    int nb = clamp(side * 2, 8, n);
    int kb = k;
    if (k > 256 && mb * nb > 1024) {
        kb = 256;
    } else if (k > 64) {
        kb = k / 2;
    }
    for (int i = 0; i < 3; ++i) {
        if (mb * kb + kb * nb > cache / 8) {
            kb = kb / 2;
            mb -= 4;
        }
    }
    int rest = m % mb;
    if (rest != 0 && rest < mb / 4) {
        mb += rest / (m / mb);
    }
    tile[0] = clamp(mb, 1, m);
    tile[1] = clamp(nb, 1, n);
    tile[2] = clamp(kb, 1, k);
}
// EVOLVE-BLOCK-END

int frozen(void) { return 3; }
"""

SCHEDULER = """#include <cmath>
#include <vector>

class Scheduler {
 public:
  explicit Scheduler(double alpha) : alpha_(alpha), total_(0.0) {}
  // EVOLVE-BLOCK-START
  int pick(const std::vector<double>& load, double size, double deadline) {
    int best = -1;
    double lowest = 1e18;
    for (size_t i = 0; i < load.size(); ++i) {
      double finish = load[i] + size;
      double cost = finish * alpha_ + 0.25 * load[i];
      if (finish > deadline) {
        cost += 10.0 * (finish - deadline);
      }
      if (cost < lowest || best < 0) {
        lowest = cost;
        best = static_cast<int>(i);
      }
    }
    for (double value : load) {
      total_ += std::sqrt(std::abs(value));
    }
    count_ += 1;
    return best;
  }
  // EVOLVE-BLOCK-END
 private:
  double alpha_;
  double total_;
  int count_ = 0;
};
"""

FILES = {"python": PACKING, "c": TILING, "cpp": SCHEDULER}


def grammar(language: str, *, whole: bool = False) -> Grammar:
    """A grammar of one file called `program`."""
    return Grammar({"program": language}, whole=whole)


def elite(text: str, *, name: str = "start", fitness: float = 0.0) -> Elite:
    """An elite of one file called `program`."""
    return Elite(Program(name, {"program": text}), Evaluation(), fitness)


def block(body: str) -> str:
    """A Python program whose evolvable region is `body`."""
    return f"# EVOLVE-BLOCK-START\n{body}# EVOLVE-BLOCK-END\n"


def draw(parent: Elite, *others: Elite, seed: int = 0, rng: random.Random | None = None) -> Draw:
    """A draw with its own random stream."""
    return Draw(parent, others, rng or random.Random(seed), parent.fitness)


def propose(proposer: Proposer, chance: Draw) -> Proposal | None:
    """Run `propose`, which must not wait for anything."""
    coroutine = proposer.propose(chance)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("propose waits for something")


def outcome(
    proposal: Proposal, fitness: float | None, *, parent: float = 0.0, placed: bool = False
) -> Outcome:
    """What the engine would report for an evaluated proposal."""
    placement = Placement.NEW if placed else Placement.REJECTED
    gain = max(0.0, fitness - parent) if fitness is not None and placed else 0.0
    return Outcome(proposal, Evaluation(), fitness, parent, placement, gain)


def population(proposer: Proposer, language: str, count: int, *, seed: int = 0) -> list[Elite]:
    """Elites made from the start by repeated proposals of a syntax proposer."""
    rng = random.Random(seed)
    elites = [elite(FILES[language])]
    while len(elites) < count:
        others = rng.sample(elites, min(3, len(elites)))
        made = propose(proposer, draw(rng.choice(elites), *others, rng=rng))
        assert made is not None
        elites.append(elite(made.files["program"], name=f"p{len(elites)}"))
    return elites
