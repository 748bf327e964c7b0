"""The ten static gestures, and which of them the gestures of other data sets are.

The tables of HANDS and of HaGRID's first version are those of the gesture project whose recipe is `gestures_resnet18`. What HaGRID's second
version adds is ours: gestures of two hands, and those a ten-class model could take for one of its own, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

GESTURES = ("BACKGROUND", "ONE", "TWO", "THREE", "FOUR", "FIVE", "THUMBS_UP", "THUMBS_DOWN", "OKEY", "FIST")
"""Class index -> name. BACKGROUND is a hand that shows none of the others."""

Table = Mapping[str, str | None]
"""A data set's own name -> one of ours; None: left out."""

HANDS: Table = {
    "Punch": "FIST",
    "One": "ONE",
    "Two": "TWO",
    "Three": "THREE",
    "Four": "FOUR",
    "Five": "FIVE",
    "Six": "THREE",
    "Seven": "BACKGROUND",
    "Eight": "BACKGROUND",
    "Nine": "OKEY",
    "Span": "BACKGROUND",
    "Horiz": "BACKGROUND",
    "Collab": None,
    "XSign": None,
    "TimeOut": None,
}

HAGRID: Table = {
    "call": "BACKGROUND",
    "dislike": "THUMBS_DOWN",
    "fist": "FIST",
    "four": "FOUR",
    "like": "THUMBS_UP",
    "mute": "ONE",
    "ok": "OKEY",
    "one": "ONE",
    "palm": "FIVE",
    "peace": "TWO",
    "peace_inverted": "TWO",
    "rock": "BACKGROUND",
    "stop": "FIVE",
    "stop_inverted": "FIVE",
    "three": "THREE",
    "three2": "THREE",
    "two_up": "TWO",
    "two_up_inverted": "TWO",
    "no_gesture": "BACKGROUND",
    "grabbing": "BACKGROUND",
    "grip": "BACKGROUND",
    "hand_heart": None,
    "hand_heart2": None,
    "holy": None,
    "little_finger": "BACKGROUND",
    "middle_finger": "BACKGROUND",
    "point": None,
    "take_picture": None,
    "three3": None,
    "three_gun": None,
    "thumb_index": None,
    "thumb_index2": None,
    "timeout": None,
    "xsign": None,
}

TABLES: Mapping[str, Table] = {"hands": HANDS, "hagrid": HAGRID, "recorded": {}}
"""Source -> its table; own records are made with our names."""
