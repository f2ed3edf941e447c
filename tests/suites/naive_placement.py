"""Places pods straight from the definitions, to check the fast loop of GPU scheduling against."""

import numpy as np

LOWEST = np.finfo(np.float64).min


class Naive:
    """One list placed straight from the definitions: no cache, no tables, one pair at a time."""

    def __init__(self, placement, nodes, classes, popularity):
        self.placement = placement
        self.nodes, self.classes, self.popularity = nodes.tolist(), classes.tolist(), popularity
        self.free = [[cpu, memory, [1000] * gpus] for cpu, memory, gpus, _ in self.nodes]

    def fits(self, free, model, request):
        cpu, memory, gpus, milli, spec = request
        if cpu > free[0] or memory > free[1] or (spec and not spec >> model & 1):
            return False
        return sum(left >= milli for left in free[2]) >= gpus

    def outlook(self, free, model):
        """Mean usable milli and share of fitting pods, memory ignored."""
        usable = fits = 0.0
        for request, share in zip(self.classes, self.popularity, strict=True):
            if self.fits([free[0], 1 << 60, free[2]], model, request):
                fits += share
                enough = [left for left in free[2] if left >= request[3]]
                usable += share * sum(enough) * (request[2] > 0)
        return usable / 8000, fits

    def take(self, free, request):
        gpus, mask, gap = list(free[2]), 0, 0.0
        for _ in range(request[2]):
            index = min(
                (i for i, left in enumerate(gpus) if left >= request[3]), key=gpus.__getitem__
            )
            gpus[index] -= request[3]
            mask |= 1 << index
            gap = gpus[index] / 1000 if request[3] < 1000 else 0.0
        return [free[0] - request[0], free[1] - request[1], gpus], mask, gap

    def features(self, kind, node):
        request, free = self.classes[kind], self.free[node]
        cpu, memory, gpus, model = self.nodes[node]
        after, _, gap = self.take(free, request)
        units = (128_000, 1_048_576)
        pod = (
            request[0] / units[0],
            request[1] / units[1],
            request[2] * request[3] / 8000,
            float(request[2] > 0 and request[3] == 1000),
            float(0 < request[3] < 1000),
            float(request[2] == 0),
            self.popularity[kind],
        )
        supply = sum(row[2] for row in self.nodes if row[3] == model)
        fixed = (
            cpu / units[0],
            memory / units[1],
            gpus / 8,
            supply / sum(row[2] for row in self.nodes),
        )
        node_fields = (*self.amounts(free), *self.outlook(free, model), *fixed)
        after_fields = (*self.amounts(after), gap, *self.outlook(after, model))
        return [tuple(map(np.atleast_1d, each)) for each in (pod, node_fields, after_fields)]

    def amounts(self, free):
        idle = free[2].count(1000) / 8
        return free[0] / 128_000, free[1] / 1_048_576, sum(free[2]) / 8000, idle

    def place(self, score, arrivals):
        answer = []
        for kind in arrivals.tolist():
            best, chosen = -np.inf, -1
            for node in range(len(self.nodes)):
                if self.fits(self.free[node], self.nodes[node][3], self.classes[kind]):
                    pod, before, after = self.features(kind, node)
                    value = score(
                        self.placement.Pod(*pod),
                        self.placement.Node(*before),
                        self.placement.After(*after),
                    )[0]
                    value = LOWEST if np.isnan(value) else max(value, LOWEST)
                    if value > best:
                        best, chosen = value, node
            mask = 0
            if chosen >= 0:
                self.free[chosen], mask, _ = self.take(self.free[chosen], self.classes[kind])
            answer.append((chosen, mask))
        return np.array(answer)
