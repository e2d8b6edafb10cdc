"""A world for drivers and supervisors: their real code on a clock, a disk, a store and workers that obey dice."""
