extension Migrator {
  /// All steps, in order.
  package static let migrations = [
    step(1, "reviews", PackageResources.v0001_reviews_sql),
    step(2, "feedback", PackageResources.v0002_feedback_sql),
    step(3, "dashboard", PackageResources.v0003_dashboard_sql),
    step(4, "reaper", PackageResources.v0004_reaper_sql),
    step(5, "sessions", PackageResources.v0005_sessions_sql),
    step(6, "traces", PackageResources.v0006_traces_sql),
    step(7, "counts", PackageResources.v0007_counts_sql),
    step(8, "given-up feedback", PackageResources.v0008_given_up_feedback_sql),
    step(9, "repairs", PackageResources.v0009_repairs_sql),
    step(10, "ended", PackageResources.v0010_ended_sql),
    step(11, "holders", PackageResources.v0011_holders_sql),
    step(12, "recovery", PackageResources.v0012_recovery_sql),
    step(13, "visits", PackageResources.v0013_visits_sql),
    step(14, "unclear starts", PackageResources.v0014_unclear_starts_sql),
    step(15, "sizes", PackageResources.v0015_sizes_sql),
    step(16, "bounds", PackageResources.v0016_bounds_sql),
    step(17, "access", PackageResources.v0017_access_sql),
    step(18, "tenants", PackageResources.v0018_tenants_sql),
    step(19, "sessions apart", PackageResources.v0019_sessions_apart_sql),
    step(20, "sealing", PackageResources.v0020_sealing_sql),
    step(21, "names", PackageResources.v0021_names_sql),
    step(22, "identity", PackageResources.v0022_identity_sql),
    step(23, "repository ids", PackageResources.v0023_repository_ids_sql),
    step(24, "platform events", PackageResources.v0024_platform_events_sql),
    step(25, "catch-up", PackageResources.v0025_catch_up_sql),
    step(26, "health", PackageResources.v0026_health_sql),
    step(27, "row counts", PackageResources.v0027_row_counts_sql),
    step(28, "catch-up bounds", PackageResources.v0028_catch_up_bounds_sql),
    step(29, "events", PackageResources.v0029_events_sql),
    step(30, "backends", PackageResources.v0030_backends_sql),
    step(31, "lean triggers", PackageResources.v0031_lean_triggers_sql),
    step(32, "places", PackageResources.v0032_places_sql),
    step(33, "pending by place", PackageResources.v0033_pending_by_place_sql),
    step(34, "installation order", PackageResources.v0034_installation_order_sql),
    step(35, "queued", PackageResources.v0035_queued_sql),
    step(36, "running", PackageResources.v0036_running_sql),
    step(37, "owners apart", PackageResources.v0037_owners_apart_sql),
    step(38, "isolated", PackageResources.v0038_isolated_sql),
  ]

  private static func step(_ version: Int, _ name: String, _ sql: [UInt8]) -> Migration {
    Migration(version: version, name: name, sql: String(decoding: sql, as: UTF8.self))
  }
}
