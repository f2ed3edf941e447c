"""Points without small triangles: smoothed ascent of many sets at once, then Newton's method.

In the triangle, coordinates are affine, with the corners (0, 0), (1, 0), (0, 1), until the answer
is given; a convex region is the points' own hull. Chains of sets, each made from the last by
putting a few points elsewhere, are followed until they stay where they are; in some of the chains
all sets are their own mirror images, which leaves half as many places to search.
"""

import itertools
import time

import numpy as np

# EVOLVE-BLOCK-START
BATCH = 64  # sets at once
STEPS, SOFT = 200, 0.5  # of the ascent of random sets, and its first softness, times 2 / n^2
SHORT, FIRM = 30, 0.1  # the same for sets that were changed
HARD = 0.02  # last softness
RATE = 0.009  # length of a step
HULLS = 5  # steps between two looks at the convex hulls
TRIED = 2000  # changed sets, of which the best `BATCH` go on
MOVED = 3  # most points that are put elsewhere
NOISE = 0.02  # largest standard deviation of a displacement of all points
POLISHED = 24  # of a batch, the best
NEWTON = 60  # most steps of a polish
CENTRING = 0.3  # by which each step reduces what is left to gain
SHRUNK = 0.99  # by which sets are drawn into their regions before
WORTH = 0.85  # share of the chain's value below which a set is not polished to the end
PATIENCE = 12  # batches without a gain after which a chain ends
ONWARD = 0.5  # chance that the first chain starts from the best set known
MIRRORED = 0.5  # chance that the sets of a chain from nothing are their own mirror images


class Triangles:
    """All triangles of n points.

    The doubled signed area of i, j, k is c_ij + c_jk + c_ki with c_ij = x_i y_j - x_j y_i. So the
    slope of any weighted sum of areas follows from the weights w_ij of the c_ij: with the
    antisymmetric a = w - w', it is a y by x, and -a x by y.
    """

    def __init__(self, n):
        self.n = n
        corners = np.array(list(itertools.combinations(range(n), 3))).T
        self.edges = [corners[q] * n + corners[(q + 1) % 3] for q in range(3)]
        self.sums = np.zeros((corners.shape[1], n * n))
        for edge in self.edges:
            self.sums[np.arange(len(edge)), edge] = 1.0
        each = turned(self.sums.reshape(-1, n, n))
        self.turns = each.transpose(2, 0, 1).reshape(n, -1)  # y times it: slopes by x of all areas

    def crosses(self, points):
        """Return the c_ij, (..., n, n)."""
        return turned(points[..., :1] * np.swapaxes(points[..., 1:], -1, -2))

    def signed(self, c):
        """Return the doubled signed areas, (..., triangles)."""
        flat = c.reshape(*c.shape[:-2], self.n * self.n)
        return sum(flat.take(edge, axis=-1) for edge in self.edges)

    def hulls(self, c):
        """Return which directed edges run along the convex hull with all points on their left."""
        sides = c[..., :, :, None] + c[..., None, :, :] + np.swapaxes(c, -1, -2)[..., :, None, :]
        return (sides >= -1e-15).all(axis=-1) & ~np.eye(self.n, dtype=bool)

    def slope(self, points, weight):
        """Return the slope of the sum of weight_ij c_ij by the points."""
        a = turned(weight)
        return np.concatenate([a @ points[..., 1:], -(a @ points[..., :1])], axis=-1)

    def shares(self, points, convex):
        """Return the smallest triangle's share of the region, for one set or many."""
        c = self.crosses(points)
        least = np.abs(self.signed(c)).min(axis=-1)
        return least / (c * self.hulls(c)).sum(axis=(-1, -2)) if convex else least


def turned(weight):
    """Return the antisymmetric part of matrices, doubled."""
    return weight - np.swapaxes(weight, -1, -2)


def inside(points):
    """Return points moved into the triangle."""
    points = np.maximum(points, 0.0)
    return points / np.maximum(points.sum(axis=-1, keepdims=True), 1.0)


def ascended(points, triangles, convex, steps, soft):
    """Raise a smoothed minimum of the areas, of the area of the hull where that is the region."""
    first, second = np.zeros_like(points), np.zeros_like(points)
    count, n, _ = points.shape
    for step in range(steps):
        done = step / steps
        c = triangles.crosses(points)
        signed = triangles.signed(c)
        size = np.abs(signed)
        least = size.min(axis=1, keepdims=True)
        weight = np.exp((least - size) * (0.5 * n * n / soft * (soft / HARD) ** done))
        weight *= np.sign(signed) / weight.sum(axis=1, keepdims=True)
        weight = (weight @ triangles.sums).reshape(count, n, n)
        if convex:
            if step % HULLS == 0:
                hulls = triangles.hulls(c).astype(float)
            spread = (c * hulls).sum(axis=(1, 2))[:, None, None]
            weight -= (least[..., None] + 2.0 * HARD / n**2) / spread * hulls
        slope = triangles.slope(points, weight)
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope * slope
        points = points + RATE * (1.0 - done + 0.02) * first / (np.sqrt(second) + 1e-12)
        points = points / np.sqrt(spread) if convex else inside(points)
    return points


class Polish:
    """An interior-point method that takes many sets to local maxima at once.

    It maximises t where every area of a set, with its sign as it is, is at least t, and the region
    holds the points; where that is the hull, its doubled area is at most 1. As no area changes its
    sign, the corners of the hull stay the same.
    """

    def __init__(self, points, triangles, convex):
        self.triangles, n = triangles, triangles.n
        points = SHRUNK * points if convex else points + (1.0 - SHRUNK) * (1.0 / 3.0 - points)
        c = triangles.crosses(points)
        areas = triangles.signed(c)
        sign = np.sign(areas)
        hulls = triangles.hulls(c).astype(float) if convex else np.zeros((len(points), 0))
        self.convex, self.points, self.fixed = convex, points, (sign, hulls)
        self.level = np.concatenate([np.ones(sign.shape[1]), np.zeros(1 if convex else 3 * n)])
        self.t = 0.9 * np.abs(areas).min(axis=1)
        self.slack = self.room(points) - self.t[:, None] * self.level
        self.force = 1.0 / (self.level / self.slack).sum(axis=1, keepdims=True) / self.slack
        self.damping = np.full(len(points), 1e-3)

    def room(self, points):
        """Return the areas with their signs, then by how much the region's constraints hold."""
        sign, hulls = self.fixed
        c = self.triangles.crosses(points)
        areas = sign * self.triangles.signed(c)
        if self.convex:
            return np.column_stack([areas, 1.0 - (c * hulls).sum(axis=(1, 2))])
        x, y = points[..., 0], points[..., 1]
        return np.concatenate([areas, x, y, 1.0 - x - y], axis=1)

    def slopes(self):
        """Return the slopes of `room` by all x, then by all y, (sets, constraints, 2 n)."""
        sign, hulls = self.fixed
        count, n = len(self.points), self.triangles.n
        by_x = (self.points[..., 1] @ self.triangles.turns).reshape(count, -1, n)
        by_y = (self.points[..., 0] @ self.triangles.turns).reshape(count, -1, n)
        areas = sign[..., None] * np.concatenate([by_x, -by_y], axis=2)
        if self.convex:
            way = self.triangles.slope(self.points, hulls)
            region = -np.swapaxes(way, 1, 2).reshape(count, 1, 2 * n)
        else:
            eye, none = np.eye(n), np.zeros((n, n))
            region = np.block([[eye, none], [none, eye], [-eye, -eye]])
            region = np.broadcast_to(region, (count, *region.shape))
        return np.concatenate([areas, region], axis=1)

    def curvature(self):
        """Return the second derivatives of the sum of force times `room`."""
        sign, hulls = self.fixed
        n, count = self.triangles.n, sign.shape[1]
        weight = ((self.force[:, :count] * sign) @ self.triangles.sums).reshape(-1, n, n)
        if self.convex:
            weight = weight - self.force[:, count:, None] * hulls
        a = turned(weight)
        none = np.zeros_like(a)
        return np.block([[none, a], [-a, none]])

    def step(self):
        """Take a damped Newton step towards the conditions of a maximum."""
        gap = (self.force * self.slack).sum(axis=1, keepdims=True)
        aim = CENTRING * gap / self.slack.shape[1]
        slopes, stiff, push = self.slopes(), self.force / self.slack, aim / self.slack
        matrix = np.swapaxes(slopes, 1, 2) @ (stiff[..., None] * slopes) - self.curvature()
        pull = ((stiff * self.level)[:, None] @ slopes)[:, 0]
        total = (stiff @ self.level)[:, None]
        missing = 1.0 - (push @ self.level)[:, None]
        matrix -= pull[:, :, None] * (pull / total)[:, None, :]
        right = (push[:, None] @ slopes)[:, 0] + pull * (missing / total)
        size = np.abs(np.trace(matrix, axis1=1, axis2=2)) / matrix.shape[1]
        matrix += ((self.damping + 1e-11) * size)[:, None, None] * np.eye(matrix.shape[1])
        move = np.linalg.solve(matrix, right[..., None])
        rise = (missing + (pull[:, None] @ move)[:, 0]) / total
        change = (slopes @ move)[..., 0] - rise * self.level
        self.take(aim, move[..., 0], rise[:, 0], change, push - self.force - stiff * change)

    def take(self, aim, move, rise, change, turn):
        """Go as far as the barrier function falls; go back to shorter steps where it does not."""
        full = 0.99 / np.maximum((-change / self.slack).max(axis=1), 0.99)
        towards = 0.99 / np.maximum((-turn / self.force).max(axis=1), 0.99)
        move = np.swapaxes(move.reshape(len(move), 2, -1), 1, 2)
        barrier = -self.t - aim[:, 0] * np.log(self.slack).sum(axis=1)
        least, length = 0.005 * self.slack.min(axis=1, keepdims=True), full.copy()
        for _ in range(6):
            points, t = self.points + length[:, None, None] * move, self.t + length * rise
            slack = self.room(points) - t[:, None] * self.level
            now = -t - aim[:, 0] * np.log(np.maximum(slack, 1e-300)).sum(axis=1)
            good = (slack > least).all(axis=1) & (now < barrier + 1e-3 * aim[:, 0])
            if good.all():
                break
            length = np.where(good, length, 0.5 * length)
        eased = np.where(length < full, self.damping, 0.25 * self.damping)
        harder = np.where(length < 0.6 * full, 4.0 * self.damping + 1e-9, eased)
        self.damping = np.where(good, harder, 10.0 * self.damping + 1e-6)
        self.points = np.where(good[:, None, None], points, self.points)
        self.t = np.where(good, t, self.t)
        self.slack = np.where(good[:, None], slack, self.slack)
        force = np.where(good[:, None], self.force + towards[:, None] * turn, self.force)
        self.force = np.clip(force, 1e-4 * aim / self.slack, 1e4 * aim / self.slack)

    def parted(self, least):
        """Take out the sets that have arrived or will not come above a value; return them."""
        gap = (self.force * self.slack).sum(axis=1)
        going = (self.t + gap > least) & (self.damping < 1e6) & (gap > 1e-13)
        gone = self.points[~going]
        self.fixed = tuple(one[going] for one in self.fixed)
        for name in ("points", "t", "slack", "force", "damping"):
            setattr(self, name, getattr(self, name)[going])
        return gone


def polished(points, triangles, convex, least, end):
    """Return sets raised to local maxima, unless they are not about to come above a value."""
    polish, out = Polish(points, triangles, convex), []
    for step in range(NEWTON):
        if step % 4 == 3:
            out.extend(polish.parted(least))
        if not len(polish.points) or time.process_time() > end:
            break
        polish.step()
    return np.array([*out, *polish.points])


def unit(points, triangles):
    """Return a set about its centre, with round moments, whose hull has the doubled area 1."""
    points = points - points.mean(axis=0)
    moments, axes = np.linalg.eigh(points.T @ points)
    points = points @ (axes / np.sqrt(moments)) @ axes.T  # what was its own mirror image still is
    c = triangles.crosses(points)
    return points / np.sqrt((c * triangles.hulls(c)).sum())


def scattered(shape, convex, rng):
    """Return random points of the triangle, or of a disc of the doubled area 1."""
    points = rng.random((*shape, 2))
    if convex:
        radius, angle = np.sqrt(points[..., :1] / (2.0 * np.pi)), 2.0 * np.pi * points[..., 1:]
        return radius * np.concatenate([np.cos(angle), np.sin(angle)], axis=-1)
    return np.where(points.sum(axis=-1, keepdims=True) > 1.0, 1.0 - points, points)


def mirrored(points, pairs):
    """Return sets as they are or, where there are pairs of points, made their own mirror images.

    The image of (x, y) is (y, x). The second `pairs` points become the images of the first, what
    is left comes onto the axis.
    """
    if not pairs:
        return points
    points = points.copy()
    points[..., pairs : 2 * pairs, :] = points[..., :pairs, ::-1]
    points[..., 2 * pairs :, :] = points[..., 2 * pairs :, :].mean(axis=-1, keepdims=True)
    return points


def changed(points, pairs, triangles, convex, rng):
    """Return the best of many copies of one set in which a few points are elsewhere."""
    copies, count = np.tile(points, (TRIED, 1, 1)), rng.integers(1, MOVED + 1)
    own = np.delete(np.arange(len(points)), slice(pairs, 2 * pairs))  # images follow
    moved = own[rng.random((TRIED, len(own))).argsort(axis=1)[:, :count]]
    copies[np.arange(TRIED)[:, None], moved] = scattered(moved.shape, convex, rng)
    copies = mirrored(copies + NOISE * rng.random() * rng.normal(size=copies.shape), pairs)
    if not convex:
        copies = inside(copies)
    least = np.abs(triangles.signed(triangles.crosses(copies))).min(axis=1)
    if convex:  # hulls take longer than areas: only of the best
        copies = copies[np.argsort(-least)[: 4 * BATCH]]
        least = triangles.shares(copies, convex)
    return copies[np.argsort(-least)[:BATCH]]


def search(family, n, best, seed, cpu_seconds):
    """Return the points whose smallest triangle is largest among those found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    convex = family == "heilbronn_convex"
    triangles = Triangles(n)
    lean = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])  # from affine coordinates to the answer's
    top, value, now, level, stale, pairs = None, 0.0, None, 0.0, 0, 0
    if best is not None:
        top = np.asarray(best, dtype=float)
        top = unit(top, triangles) if convex else inside(top @ np.linalg.inv(lean))
        value = triangles.shares(top, convex)
        if rng.random() < ONWARD:
            now, level = top, value
    while time.process_time() < end or top is None:
        if now is None:
            pairs = (n - 1 + rng.integers(2)) // 2 if rng.random() < MIRRORED else 0
            batch = mirrored(scattered((BATCH, n), convex, rng), pairs)
            batch = ascended(batch, triangles, convex, STEPS, SOFT)
        else:
            batch = changed(now, pairs, triangles, convex, rng)
            batch = ascended(batch, triangles, convex, SHORT, FIRM)
        batch = mirrored(batch, pairs)
        batch = batch[np.argsort(-triangles.shares(batch, convex))[:POLISHED]]
        if convex:
            batch = np.array([unit(points, triangles) for points in batch])
        batch = mirrored(polished(batch, triangles, convex, WORTH * level, end), pairs)
        shares, stale = triangles.shares(batch, convex), stale + 1
        if shares.max() > level + 1e-9:
            now, level, stale = batch[shares.argmax()], shares.max(), 0
        if level > value:
            top, value = now, level
        if stale > PATIENCE:
            now, level, stale = None, 0.0, 0
    return top if convex else top @ lean


# EVOLVE-BLOCK-END
