internal import Glibc

/// How many files and sockets a process may have open.
enum OpenFiles {
  /// Raises the limit to what the system allows: a consumer has up to three calls a review in flight, each on a connection of
  /// its own where the host does not speak HTTP/2, and a service manager's usual 1024 would be too few for them. The low
  /// default is meant for programs that use select(2).
  static func raiseLimit() {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    // Where it fails the old limit stays, and connections that are too many are refused one by one.
    _ = setrlimit(resource, &limit)
  }
}
