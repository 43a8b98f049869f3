/// The SQLSTATE codes that a program decides by (PostgreSQL 15, appendix A).
public enum PostgresSQLState {
  /// A row with the same key is there already.
  public static let uniqueViolation = "23505"
  /// A referenced row is not there, or is still referenced.
  public static let foreignKeyViolation = "23503"
  /// A row breaks a check.
  public static let checkViolation = "23514"
  /// The transaction lost against a concurrent one: run it again.
  public static let serializationFailure = "40001"
  /// The transaction was chosen as a deadlock's victim: run it again.
  public static let deadlockDetected = "40P01"
  /// A lock could not be taken in time, or at once (`NOWAIT`).
  public static let lockNotAvailable = "55P03"
  /// The account has no right to do this.
  public static let insufficientPrivilege = "42501"
  /// The statement was cancelled, or ran into `statement_timeout`.
  public static let queryCanceled = "57014"
  /// The transaction has failed already; only its rollback is accepted.
  public static let inFailedTransaction = "25P02"
  /// The prepared statement has gone from the server's session.
  public static let invalidStatementName = "26000"
  /// The session can only read: the server is a standby, or was made read-only.
  public static let readOnlyTransaction = "25006"
  /// A parameter's value is not possible.
  public static let invalidParameterValue = "22023"
  /// Among others: "cached plan must not change result type".
  public static let featureNotSupported = "0A000"

  /// The condition's name, or the name of its class.
  public static func name(of state: String) -> String? {
    names[state] ?? names[String(state.prefix(2)) + "000"] ?? classNames[String(state.prefix(2))]
  }

  /// Whether the condition passes by itself: lost races, lack of resources, a server that stops, starts or fails over.
  public static func isTransient(_ state: String) -> Bool {
    switch state {
    case serializationFailure, deadlockDetected, lockNotAvailable: true
    // Read-only: the server is a standby or was made read-only for a while; a failover or the operator ends it.
    case readOnlyTransaction: true
    // Shutdown, crash of another backend, starting up, database dropped under a session.
    case "57P01", "57P02", "57P03", "57P05": true
    default: state.hasPrefix("08") || state.hasPrefix("53")
    }
  }

  /// Whether no later attempt with the same configuration can connect: credentials, database, parameters.
  static func isConfigurationFault(_ state: String) -> Bool {
    state.hasPrefix("28") || state == "3D000" || state.hasPrefix("42") || state.hasPrefix("22")
  }

  private static let names = [
    "08000": "connection_exception", "08001": "sqlclient_unable_to_establish_sqlconnection",
    "08003": "connection_does_not_exist", "08004": "sqlserver_rejected_establishment_of_sqlconnection",
    "08006": "connection_failure", "08P01": "protocol_violation",
    "0A000": "feature_not_supported", "21000": "cardinality_violation",
    "22000": "data_exception", "22001": "string_data_right_truncation", "22003": "numeric_value_out_of_range",
    "22007": "invalid_datetime_format", "22008": "datetime_field_overflow", "22012": "division_by_zero",
    "22021": "character_not_in_repertoire", "22023": "invalid_parameter_value",
    "22P02": "invalid_text_representation", "22P03": "invalid_binary_representation",
    "23000": "integrity_constraint_violation", "23001": "restrict_violation", "23502": "not_null_violation",
    "23503": "foreign_key_violation", "23505": "unique_violation", "23514": "check_violation",
    "23P01": "exclusion_violation",
    "25000": "invalid_transaction_state", "25001": "active_sql_transaction", "25006": "read_only_sql_transaction",
    "25P01": "no_active_sql_transaction", "25P02": "in_failed_sql_transaction",
    "25P03": "idle_in_transaction_session_timeout",
    "26000": "invalid_sql_statement_name", "28000": "invalid_authorization_specification",
    "28P01": "invalid_password", "3D000": "invalid_catalog_name", "3F000": "invalid_schema_name",
    "40000": "transaction_rollback", "40001": "serialization_failure",
    "40002": "transaction_integrity_constraint_violation",
    "40003": "statement_completion_unknown", "40P01": "deadlock_detected",
    "42000": "syntax_error_or_access_rule_violation", "42501": "insufficient_privilege", "42601": "syntax_error",
    "42703": "undefined_column", "42704": "undefined_object", "42710": "duplicate_object", "42701": "duplicate_column",
    "42804": "datatype_mismatch", "42883": "undefined_function", "42P01": "undefined_table",
    "42P02": "undefined_parameter", "42P04": "duplicate_database", "42P05": "duplicate_prepared_statement",
    "42P06": "duplicate_schema", "42P07": "duplicate_table", "42P08": "ambiguous_parameter",
    "42P18": "indeterminate_datatype",
    "53000": "insufficient_resources", "53100": "disk_full", "53200": "out_of_memory",
    "53300": "too_many_connections", "53400": "configuration_limit_exceeded",
    "54000": "program_limit_exceeded", "55000": "object_not_in_prerequisite_state", "55006": "object_in_use",
    "55P03": "lock_not_available", "57000": "operator_intervention", "57014": "query_canceled",
    "57P01": "admin_shutdown", "57P02": "crash_shutdown", "57P03": "cannot_connect_now",
    "57P04": "database_dropped", "57P05": "idle_session_timeout",
    "58000": "system_error", "58030": "io_error", "58P01": "undefined_file",
    "P0001": "raise_exception", "P0002": "no_data_found", "XX000": "internal_error", "XX001": "data_corrupted",
    "XX002": "index_corrupted",
  ]

  private static let classNames = [
    "01": "warning", "02": "no_data", "09": "triggered_action_exception", "20": "case_not_found",
    "24": "invalid_cursor_state", "2B": "dependent_privilege_descriptors_still_exist",
    "2D": "invalid_transaction_termination",
    "2F": "sql_routine_exception", "34": "invalid_cursor_name", "38": "external_routine_exception",
    "39": "external_routine_invocation_exception", "3B": "savepoint_exception", "44": "with_check_option_violation",
    "72": "snapshot_too_old", "F0": "config_file_error", "HV": "fdw_error", "P0": "plpgsql_error",
  ]
}
