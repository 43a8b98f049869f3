internal import Glibc
internal import Telemetry

/// What has to hold of the three standard streams before anything else is opened.
enum StandardStreams {
  /// How long the end of the process waits for lines that were not written yet.
  private static let lastWordsTimeout: Duration = .seconds(1)

  static func prepare() {
    reopenClosed()
    // If the reader is gone, the write fails; the process does not end.
    signal(SIGPIPE, SIG_IGN)
    atexit { LogWriter.standardError.flush(within: StandardStreams.lastWordsTimeout) }
  }

  /// Puts /dev/null in place of streams that are closed, or the first sockets would get their numbers, and log lines would be sent to a
  /// server. Standard output cannot be written then, so that results do not get lost without an error.
  private static func reopenClosed() {
    for (descriptor, mode) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
    where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest number that is free: those below are open by now.
      _ = open("/dev/null", mode)
    }
  }

  /// Ends the process as one that did not ignore SIGPIPE ends: its caller sees that the reader has gone.
  static func endBySIGPIPE() -> Never {
    LogWriter.standardError.flush(within: lastWordsTimeout)
    signal(SIGPIPE, SIG_DFL)
    raise(SIGPIPE)
    exit(128 + SIGPIPE)
  }
}
