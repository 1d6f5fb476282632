from .dataset import Dataset as Dataset
from .dataset import reading as reading
from .summary import Summary as Summary
from .summary import summarise as summarise
from .tar import Member as Member
from .tar import read_members as read_members
