"""Lines of JSON about requests, without their texts."""

import logging
import time

import orjson

FIELDS = ("method", "path", "status", "ms", "tokens", "truncated", "unknown")


class JsonFormatter(logging.Formatter):
    """A line of JSON a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        found = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"time": f"{at}.{int(record.msecs):03}Z", "level": record.levelname.lower()}
        line |= {"event": record.getMessage(), **found}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def log_requests() -> None:
    """Write such lines on stderr from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("minilm_onnx.server")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
