/// A clock whose moments are those of the process's monotonic clock: the real one, or one that a test or a simulation moves.
public protocol MonotonicClock: Clock<Duration> where Instant == ContinuousClock.Instant {}

extension ContinuousClock: MonotonicClock {}
