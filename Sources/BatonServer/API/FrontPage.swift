internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Telemetry

/// Says what this server is, and where to look.
struct FrontPage: Sendable {
  private static let html = """
    <!doctype html>
    <html lang="en">
    <head><meta charset="utf-8"><title>Baton</title></head>
    <body>
    <h1>Baton</h1>
    <p>Hands every pending code review to a worker, once, and never drops one.</p>
    <ul>
    <li><a href="/api/stats">/api/stats</a>: queue depth and reviews by status</li>
    <li><a href="/api/reviews">/api/reviews</a>: reviews, newest first</li>
    <li><a href="/metrics">/metrics</a>: for Prometheus</li>
    <li><a href="/readyz">/readyz</a>: what this process can reach</li>
    </ul>
    </body>
    </html>

    """

  var routes: [Route] {
    [
      Route(.get, .dashboard, access: .api) { _ in
        .content(.ok, type: "text/html; charset=utf-8", ByteBuffer(string: Self.html))
      }
    ]
  }
}
