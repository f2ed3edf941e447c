"""Heat maps of the archive: the cells of each island, rebuilt from the store."""

from __future__ import annotations

import json
from collections.abc import Mapping

from breeder.archive.archive import CellView
from breeder.archive.grid import Grid
from breeder.archive.islands import IslandArchive
from breeder.archive.replay import replay
from breeder.archive.selection import SelectionConfig
from breeder.archive.store import Store
from breeder.core import Elite
from breeder.errors import BreederError
from breeder.report.charts import Heatmap
from breeder.report.run_data import RunData
from breeder.report.score_figures import score, score_name
from breeder.report.verdict import number
from breeder.task import FeatureSection

MAX_ISLANDS = 8

Placed = dict[tuple[int, int], Elite]


def cell_charts(store: Store, data: RunData) -> tuple[Heatmap, ...]:
    """Draw the elite of each cell; nothing while the archive is empty.

    One feature gives one map with a row per island; two or more give a map of the first two over
    all islands, and one for each of the first eight islands.
    """
    archive = _archive(store, data)
    cells = archive.cells() if archive else ()
    if archive is None or not cells:
        return ()
    grid = archive.grid
    if len(grid.features) == 1:
        return (_strip(data, grid, cells),)
    islands = sorted({view.island for view in cells})
    title = f"best of {len(islands)} islands" if len(islands) > 1 else "the archive"
    maps = [_plane(data, grid, cells, "cells", title)]
    for island in islands[:MAX_ISLANDS] if len(islands) > 1 else ():
        own = tuple(view for view in cells if view.island == island)
        maps.append(_plane(data, grid, own, f"cells_island_{island}", f"island {island}"))
    return tuple(maps)


def _archive(store: Store, data: RunData) -> IslandArchive | None:
    features = [FeatureSection.model_validate(f) for f in data.task.get("feature", ())]
    search = json.loads(data.run.config_json or "{}").get("search", {})
    used = 1 + max((point.island for point in data.points), default=0)
    selection = SelectionConfig(islands=max(used, int(search.get("islands", 1))))
    try:
        archive = IslandArchive(data.objectives, features, selection=selection)
        merit_name = (data.task.get("construction") or {}).get("merit")
        replay(archive, store, merit_name=merit_name)
    except BreederError:
        return None  # a store that another version's rules cannot place: the rest is still shown
    return archive


def _strip(data: RunData, grid: Grid, cells: tuple[CellView, ...]) -> Heatmap:
    islands = sorted({view.island for view in cells})
    placed = {(view.cell[0], islands.index(view.island)): view.elite for view in cells}
    return Heatmap(
        key="cells",
        title="best program of each cell, by island",
        x_label=_axis(grid, 0),
        y_label="island",
        x_ticks=_borders(grid, 0),
        y_ticks=[str(island) for island in islands],
        cells=_coloured(data, placed),
        note=_note(data),
    )


def _plane(data: RunData, grid: Grid, cells: tuple[CellView, ...], key: str, title: str) -> Heatmap:
    placed: Placed = {}
    for view in cells:
        where = (view.cell[0], view.cell[1])
        if where not in placed or view.elite.fitness > placed[where].fitness:
            placed[where] = view.elite
    rest = ", ".join(f.name for f in grid.features[2:])
    return Heatmap(
        key=key,
        title=title,
        x_label=_axis(grid, 0),
        y_label=_axis(grid, 1),
        x_ticks=_borders(grid, 0),
        y_ticks=_borders(grid, 1),
        cells=_coloured(data, placed),
        note=_note(data) + (f"; the best over {rest}" if rest else ""),
    )


def _axis(grid: Grid, index: int) -> str:
    name = grid.features[index].name
    return "size (syntax-tree nodes)" if name == "size" else name


def _note(data: RunData) -> str:
    return f"stronger colour: better {score_name(data)}, by rank; ticks: lower border of a bin"


def _borders(grid: Grid, index: int) -> list[str]:
    feature = grid.features[index]
    return [f"{edge:.3g}" for edge in (feature.low, *grid.edges[index])]


def _coloured(
    data: RunData, placed: Mapping[tuple[int, int], Elite]
) -> dict[tuple[int, int], tuple[float, str]]:
    # By rank: a few very poor cells would otherwise make all the good ones look alike.
    ranks = {f: i for i, f in enumerate(sorted({elite.fitness for elite in placed.values()}))}
    top = len(ranks) - 1
    return {
        where: (
            ranks[elite.fitness] / top if top else 1.0,
            f"{score_name(data)} {number(score(data, elite.fitness))} · "
            f"{elite.program.proposer} · {elite.program.id[:12]}",
        )
        for where, elite in placed.items()
    }
