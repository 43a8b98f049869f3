import FoundationEssentials
import HTTPKit
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import Primitives
import ReviewStore
import Reviews
import WorkerAPI

@testable import BatonServer

/// `METHOD TARGET PEER`, then header fields: routes, parameters, and who may call.
func fuzzHead(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let words = input.line().split(separator: " ", omittingEmptySubsequences: false).map { String($0) }
  let peer = words.count > 2 ? try? SocketAddress(ipAddress: words[2], port: 80) : nil
  var headers = HTTPFields()
  for field in input.fields() {
    if let name = HTTPField.Name(field.name) { headers.append(HTTPField(name: name, value: field.value)) }
  }
  readTarget(HTTPRequest.Method(words[0]) ?? .get, words.count > 1 ? words[1] : "/")
  readPeer(headers, peer)
  try readCredentials(headers, peer)
}

private let table = RouteTable(
  [
    (HTTPRequest.Method.get, RoutePath.reviews), (.post, .reviews), (.get, .review), (.post, .operation(.cancel)),
    (.post, .callback),
    (.post, .githubWebhook), (.post, .gitlabWebhook), (.get, .dashboard), (.get, .reviewPage),
    (.post, .operationOnListed(.retry)),
  ].map { method, path in Route(method, path, access: .open) { _ in throw HTTPFault.internalError } })

private func readTarget(_ method: HTTPRequest.Method, _ target: String) {
  let uri = URI(target)
  if case .found(_, let id?) = table.match(method, uri.path) {
    _ = IDPrefix(id).map { ($0.id, $0.first, $0.last, $0.description) }
  }
  let query = QueryText(uri.query ?? "", knowing: ListQuery.names)
  if let list = try? ListQuery(query.values) { _ = list.filter(now: Timestamp(microseconds: 1_790_000_000_000_000)) }
  _ = LoginPage.local(target)
}

private let proxies = TrustedProxies(
  ranges: ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"].compactMap { AddressRange($0) }, actorHeader: "X-Forwarded-User")

private func readPeer(_ headers: HTTPFields, _ peer: SocketAddress?) {
  _ = headers[HTTPField.Name(known: "host")].map { Authority($0) }
  for proxies in [proxies, TrustedProxies()] {
    _ = Refusals.Source(peer: peer, headers: headers, proxies: proxies)
    _ = proxies.client(headers, peer)
    _ = try? proxies.name(headers, peer)
  }
  _ = headers[HTTPField.Name(known: "traceparent")].flatMap { TraceContext(traceparent: $0) }
}

private let tokens = SecretList(Secret("api-token-of-the-fuzzer"))
private let rule = AccessRule(tokens: tokens, proxies: proxies)
private let cookie = SessionCookie(rule.credentials)
private let authority = CallbackAuthority(
  secrets: tokens, keys: [AuthKey(encryptionKey: [UInt8](repeating: 7, count: 32))])

private func readCredentials(_ headers: HTTPFields, _ peer: SocketAddress?) throws {
  let isRight = headers.contains { $0.value.contains("api-token-of-the-fuzzer") }
  if (try? rule.admit(headers, authority: headers[HTTPField.Name(known: "host")], peer: peer, acts: true)) != nil {
    try promise(isRight, "a caller without the token is admitted")
  }
  if (try? authority.grant(headers: headers, now: Date(timeIntervalSince1970: 0))) == .everything {
    try promise(isRight, "a callback without the secret counts")
  }
  try promise(cookie.session(in: headers) == nil, "a cookie that was made up is a session")
  _ = try? WebhookSecrets(github: tokens).code(ofGitHub: headers[.hubSignature])
  _ = try? WebhookSignature(headers)?.check(Data("{}".utf8), with: tokens, now: Timestamp(microseconds: 0))
}
