"""Optimizers: update rules as pure functions, and the classes that keep their state."""

from __future__ import annotations

from optimizers import schedules
from optimizers.adabelief import AdaBelief, adabelief_step
from optimizers.adadelta import Adadelta, adadelta_step
from optimizers.adafactor import Adafactor, adafactor_step, factored_direction
from optimizers.adagrad import Adagrad, adagrad_step
from optimizers.adam import Adam, AdamW, adam_rate, adam_step
from optimizers.adamax import Adamax, adamax_step
from optimizers.ademamix import AdEMAMix, ademamix_step
from optimizers.adopt import ADOPT, adopt_step
from optimizers.averaging import EMA, SWA, Averaged
from optimizers.base import Optimizer
from optimizers.clipping import clip_by_global_norm, clip_by_norm, clip_by_value, global_norm
from optimizers.ftrl import Ftrl, ftrl_step
from optimizers.groups import Groups
from optimizers.lamb import Lamb, lamb_step, trust_ratio
from optimizers.lars import LARS, lars_rate, lars_step
from optimizers.lion import Lion, lion_step
from optimizers.lookahead import Lookahead
from optimizers.muon import Muon, muon_scale, muon_step, newton_schulz
from optimizers.nadam import Nadam, nadam_step
from optimizers.prodigy import Prodigy, prodigy_distance, prodigy_evidence, prodigy_step
from optimizers.radam import RAdam, radam_step, rectification
from optimizers.registry import get, names
from optimizers.rmsprop import RMSprop, rmsprop_step
from optimizers.sam import SAM
from optimizers.schedule_free import ScheduleFreeAdamW, averaged_weight, schedule_free_step
from optimizers.sgd import SGD, momentum_step
from optimizers.shampoo import Shampoo, inverse_root, shampoo_step
from optimizers.skip import Accumulate, SkipNotFinite
from optimizers.soap import SOAP, first_basis, renewed_basis, soap_basis, soap_step
from optimizers.sophia import Sophia, hutchinson, sophia_step
from optimizers.transfer import Adopted, adopt_slots
from optimizers.transforms import (
    AdaptiveClip,
    Centralize,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Transform,
)
from optimizers.wrapper import Wrapper
from optimizers.yogi import Yogi, yogi_step

__all__ = [
    "ADOPT",
    "Accumulate",
    "AdEMAMix",
    "AdaBelief",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AdaptiveClip",
    "Adopted",
    "Averaged",
    "Centralize",
    "ClipGlobalNorm",
    "ClipNorm",
    "ClipValue",
    "EMA",
    "Ftrl",
    "Groups",
    "LARS",
    "Lamb",
    "Lion",
    "Lookahead",
    "Muon",
    "Nadam",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "RMSprop",
    "SAM",
    "SGD",
    "SOAP",
    "SWA",
    "ScheduleFreeAdamW",
    "Shampoo",
    "SkipNotFinite",
    "Sophia",
    "Transform",
    "Wrapper",
    "Yogi",
    "adabelief_step",
    "adadelta_step",
    "adafactor_step",
    "adagrad_step",
    "adam_rate",
    "adam_step",
    "adamax_step",
    "ademamix_step",
    "adopt_slots",
    "adopt_step",
    "averaged_weight",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "factored_direction",
    "first_basis",
    "ftrl_step",
    "get",
    "global_norm",
    "hutchinson",
    "inverse_root",
    "lamb_step",
    "lars_rate",
    "lars_step",
    "lion_step",
    "momentum_step",
    "muon_scale",
    "muon_step",
    "nadam_step",
    "names",
    "newton_schulz",
    "prodigy_distance",
    "prodigy_evidence",
    "prodigy_step",
    "radam_step",
    "rectification",
    "renewed_basis",
    "rmsprop_step",
    "schedule_free_step",
    "schedules",
    "shampoo_step",
    "soap_basis",
    "soap_step",
    "sophia_step",
    "trust_ratio",
    "yogi_step",
]
