"""Adaptive sampling: a site's level rises, and its stations are asked for a denser interval and released afterwards.

`judgement` decides (pure), `demand` keeps what it decided in the store, `commands` has the store's words for that,
`downlink` tells the gateways and takes their answers.
"""
