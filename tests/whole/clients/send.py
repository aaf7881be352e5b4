"""PyPI's fluent-logger: PORT COUNT. Sends COUNT records with each kind of sender; ends with 0 if all were sent."""

import sys

from fluent import asyncsender, event, sender

port, count = int(sys.argv[1]), int(sys.argv[2])

seconds = sender.FluentSender("python", host="127.0.0.1", port=port)
for n in range(count):
    if not seconds.emit("seconds", {"n": n, "nested": {"list": [1, 2.5, None, True]}, "text": "grün"}):
        sys.exit(f"not sent: {seconds.last_error}")
seconds.close()

precise = sender.FluentSender("python", host="127.0.0.1", port=port, nanosecond_precision=True)
for n in range(count):
    if not precise.emit("nanoseconds", {"n": n}):
        sys.exit(f"not sent: {precise.last_error}")
precise.close()

threaded = asyncsender.FluentSender("python", host="127.0.0.1", port=port, queue_maxsize=count)
for n in range(count):
    if not threaded.emit("async", {"n": n}):
        sys.exit("not queued")
threaded.close()

sender.setup("python", host="127.0.0.1", port=port)
for n in range(count):
    event.Event("event", {"n": n})
sender.close()
