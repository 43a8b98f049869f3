internal import FoundationEssentials
internal import NIOCore

/// An answer before it is sent.
struct FakeAnswer: Sendable {
  var status: Int
  var headers: [String: String]
  var body: ByteBuffer

  init(status: Int = 200, headers: [String: String] = [:], body: ByteBuffer) {
    self.status = status
    self.headers = ["content-type": "application/json; charset=utf-8"].merging(headers) { $1 }
    self.body = body
  }

  init(status: Int = 200, headers: [String: String] = [:], json: String) {
    self.init(status: status, headers: headers, body: ByteBuffer(string: json))
  }

  /// A recorded exchange as it was, except for the address of the API.
  init(_ recording: Recording, api: String) {
    let template = BodyTemplate(recording.body)
    self.init(status: recording.status, headers: recording.headers, body: template.fill([.api: api]))
  }

  static let notFound = FakeAnswer(
    status: 404, json: #"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#)
}

/// One page of a list, as GitHub and GitLab cut them.
struct FakePage: Sendable, Equatable {
  /// From 1.
  var number: Int
  var size: Int

  /// - Parameter sizeDefault: 30 at GitHub, 20 at GitLab.
  init(query: [String: String], sizeDefault: Int) {
    number = max(query["page"].flatMap { Int($0) } ?? 1, 1)
    size = min(max(query["per_page"].flatMap { Int($0) } ?? sizeDefault, 1), 100)
  }

  /// The elements of the page.
  func slice<Element>(_ elements: [Element]) -> ArraySlice<Element> {
    let (start, isOver) = (number - 1).multipliedReportingOverflow(by: size)
    guard !isOver, start < elements.count else { return [] }
    return elements[start..<min(start + size, elements.count)]
  }

  /// The `Link` header; nil if everything is on one page.
  func link(url: String, count: Int) -> String? {
    let last = max((count + size - 1) / size, 1)
    guard last > 1 else { return nil }
    var links: [(String, Int)] = []
    if number < last { links += [("next", number + 1), ("last", last)] }
    if number > 1 { links += [("prev", number - 1), ("first", 1)] }
    return links.map { #"<\#(url)?per_page=\#(size)&page=\#($0.1)>; rel="\#($0.0)""# }.joined(separator: ", ")
  }
}
