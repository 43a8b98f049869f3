internal import CPostgres
internal import Glibc

/// A null-terminated array of C strings, freed at the end of its life.
struct CStrings: ~Copyable {
  private let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ strings: [String]) { pointers = strings.map { strdup($0) } + [nil] }

  deinit { for pointer in pointers { free(pointer) } }

  func withPointers<Result>(_ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result) -> Result {
    pointers.withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: UnsafePointer<CChar>?.self)) }
  }
}

/// What libpq said, unredacted: it may quote any part of a connection string.
struct LibraryMessage: Error {
  let message: String
}

/// Takes a connection string apart, both forms, without connecting.
func parseConnectionString(_ text: String) -> Result<[(keyword: String, value: String)], LibraryMessage> {
  var message: UnsafeMutablePointer<CChar>?
  guard let options = PQconninfoParse(text, &message) else {
    defer { PQfreemem(message) }
    return .failure(LibraryMessage(message: message.map { String(cString: $0) } ?? "out of memory"))
  }
  defer { PQconninfoFree(options) }
  return .success(namedValues(of: options))
}

/// The parameters as libpq completes them: by a service, the environment and its defaults. Nothing connects, as the option that libpq
/// checks last is given a value that it refuses; a message about another one is the fault of that one.
func completeParameters(
  _ parameters: [(keyword: String, value: String)]
) -> Result<[String: String], LibraryMessage> {
  let impossible = "not connecting"
  let keywords = CStrings(parameters.map(\.keyword) + ["target_session_attrs"])
  let values = CStrings(parameters.map(\.value) + [impossible])
  let started = keywords.withPointers { keywords in
    values.withPointers { values in PQconnectStartParams(keywords, values, 0) }
  }
  guard let started else { return .failure(LibraryMessage(message: "out of memory")) }
  defer { PQfinish(started) }
  let message = PQerrorMessage(started).map { String(cString: $0) } ?? ""
  guard message.contains(impossible) else { return .failure(LibraryMessage(message: message)) }
  guard let options = PQconninfo(started) else { return .failure(LibraryMessage(message: "out of memory")) }
  defer { PQconninfoFree(options) }
  return .success(
    Dictionary(namedValues(of: options).map { ($0.keyword, $0.value) }, uniquingKeysWith: { _, last in last }))
}

private func namedValues(of options: UnsafeMutablePointer<PQconninfoOption>) -> [(keyword: String, value: String)] {
  var parameters: [(keyword: String, value: String)] = []
  var option = options
  while let keyword = option.pointee.keyword {
    if let value = option.pointee.val { parameters.append((String(cString: keyword), String(cString: value))) }
    option += 1
  }
  return parameters
}
