internal import FoundationEssentials
internal import Glibc

/// The account of this machine that runs a command.
enum SystemAccount {
  /// Its name; behind `sudo`, the person's own, which root alone could have changed. nil if the account has no name, as in a container.
  static var name: String? {
    if getuid() == 0, let person = ProcessInfo.processInfo.environment["SUDO_USER"], !person.isEmpty { return person }
    return getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) }
  }
}
