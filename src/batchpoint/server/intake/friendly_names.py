"""Friendly names of jobs, which pages show beside the long ones."""

import secrets

_QUALITIES = (
    "amber brave bright calm clear clever cool crisp eager early fair fine fresh gentle golden good green happy "
    "honest icy jolly keen kind light lively lucky mellow merry mild neat noble open plain polite proud quick quiet "
    "ready shiny silent silver simple smart smooth soft solid sunny sweet swift tidy warm wise witty young"
).split()
_THINGS = (
    "acorn apple arrow basil beach bell bird boat bridge brook candle cedar cherry cloud clover coral crane creek "
    "daisy drum eagle elm fern fig finch flute forest fox garden grape harbor hill iris island ivy kite lake lamp leaf "
    "lemon lily maple meadow moon oak olive onion orchard otter owl peach pear pebble pine plum pond reed river rose "
    "sail seed shell spruce star stone sun thyme tulip valley violet wave willow wren"
).split()


def friendly_name() -> str:
    """For example ``calm_fig_x1k4``; not unique, only easy to say."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    tail = "".join(secrets.choice(alphabet) for _ in range(6))
    return f"{secrets.choice(_QUALITIES)}_{secrets.choice(_THINGS)}_{tail}"
