internal import CLinux

/// What other processes of the same user may learn of this one.
enum ProcessPrivacy {
  /// Nothing, from now on: neither its environment, where the settings' secrets are, nor its memory and files. It cannot be traced, and
  /// writes no core dump. What it starts is not bound by that.
  static func begin() { _ = baton_forbid_inspection() }
}
