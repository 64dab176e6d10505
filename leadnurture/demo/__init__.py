"""The whole system in time-lapse: the sample company, its leads, and an audience that responds.

It is the product that runs, by the commands of production; nothing in it knows of the demo. `run` plays it.
"""

from leadnurture.demo.play import run

__all__ = ["run"]
