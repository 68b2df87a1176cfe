"""A thread that dies ends its process with a sentence."""

import subprocess
import sys

_PROGRAM = """
import threading, time
from runtime import log
from runtime.threads import end_process_with_any_thread
log.configure("test")
end_process_with_any_thread()
def quits(): raise SystemExit
def dies(): raise KeyError("lost")
threading.Thread(target=quits).start()
time.sleep(0.1)
print("alive", flush=True)
threading.Thread(target=dies, name="reader", daemon=True).start()
time.sleep(30)
print("never", flush=True)
"""


def test_an_exception_in_a_thread_ends_the_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (1, "alive\n")
    assert "The thread reader died of KeyError('lost')." in ended.stderr
