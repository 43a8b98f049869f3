internal import Crypto
internal import FoundationEssentials

/// Compares secrets without telling by the time taken how much of them was right, or how long they are.
package enum ConstantTime {
  /// Compares digests: equally long whatever the texts are, and their `==` looks at every byte.
  package static func equal(_ left: String, _ right: String) -> Bool {
    SHA256.hash(data: Data(left.utf8)) == SHA256.hash(data: Data(right.utf8))
  }

  /// Whether a text is one of the secrets. All of them are compared, so that the time does not show which one it was.
  package static func matches(_ sent: String, _ secrets: SecretList) -> Bool {
    secrets.all.reduce(false) { found, secret in equal(sent, secret.reveal()) || found }
  }
}
