package import Logging

extension Logger {
  /// The same logger without what is below a level, for code that logs more than a reader needs.
  package func quiet(below level: Level) -> Logger {
    var logger = self
    logger.logLevel = max(logLevel, level)
    return logger
  }
}
