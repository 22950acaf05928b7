from typing import TypedDict

class Device(TypedDict):
    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int

class Devices(TypedDict):
    devices: list[Device]
    reason: str

def devices() -> Devices: ...
def build_facts() -> dict[str, str]: ...
