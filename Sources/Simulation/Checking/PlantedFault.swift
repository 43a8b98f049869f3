/// A fault of Baton, planted to prove that the checker catches it.
package enum PlantedFault: String, Sendable, CaseIterable {
  /// I1: tickets vanish, and no reaper runs.
  case loseReviews = "lose-reviews"
  /// I2: after the acknowledgement the worker is called once more.
  case postAgain = "post-again"
  /// I3: the ledger counts no active reviews.
  case exceedLimits = "exceed-limits"
  /// I4: deliveries are acknowledged when they come.
  case acknowledgeEarly = "acknowledge-early"
  /// I5: an ended review runs again.
  case reviveEnded = "revive-ended"
  /// I6: no reaper runs.
  case noReaper = "no-reaper"
  /// I9: a consumer that receives nothing does not notice.
  case staySilent = "stay-silent"
}
