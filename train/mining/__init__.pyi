from .hard_negatives import load_negatives as load_negatives
from .miner import MineOptions as MineOptions
from .miner import mine as mine
