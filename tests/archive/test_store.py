from breeder.archive.store import Store
from conformance.store import RaceConformance, StoreConformance
from conformance.store_durability import DurabilityConformance


class Files:
    def create(self, folder, run):
        return Store.create(folder, run)

    def open(self, folder, *, readonly=False):
        return Store.open(folder, readonly=readonly)


class TestStore(Files, StoreConformance):
    pass


class TestRace(Files, RaceConformance):
    pass


class TestDurability(Files, DurabilityConformance):
    pass
