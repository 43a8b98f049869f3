package import Logging

extension Logger {
  /// The same logger without what is below a level, for something that says more than anybody wants to read.
  package func quiet(below level: Level) -> Logger {
    var logger = self
    logger.logLevel = max(logLevel, level)
    return logger
  }
}
