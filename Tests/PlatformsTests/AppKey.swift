import CryptoExtras

/// The private key of a GitHub App.
enum AppKey {
  /// Made once for all tests: that takes a moment.
  // swift-format-ignore: NeverUseForceTry
  static let sample = try! _RSA.Signing.PrivateKey(keySize: .bits2048)
}
