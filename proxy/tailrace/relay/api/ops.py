"""`/healthz`, `/readyz`, `/metrics`: for machines that watch this one."""

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from tailrace import metrics
from tailrace.relay.live import Relay


def ops_routes(relay: Relay) -> list[HTTPRouteHandler]:
    """The three routes, bound to the process's state."""

    @get("/healthz", media_type=MediaType.TEXT, sync_to_thread=False)
    def healthz() -> str:
        """The process answers."""
        return "ok\n"

    @get("/readyz", sync_to_thread=False)
    def readyz() -> Response[dict[str, object]]:
        """Whether new calls would be taken, and if not, why: 200 or 503."""
        reasons = relay.unready()
        return Response({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    @get("/metrics", sync_to_thread=False)
    def prometheus() -> Response[bytes]:
        """Prometheus' text format, of all workers and the writer."""
        relay.report()
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    return [healthz, readyz, prometheus]
