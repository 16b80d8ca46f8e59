"""VRRP on the wire: what an advert says, and who sends one."""

from .advert import Advert, decode
from .listen import AdvertListener

__all__ = ["Advert", "AdvertListener", "decode"]
