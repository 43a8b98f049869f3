internal import FoundationEssentials
internal import Primitives
internal import Synchronization

/// Makes the ids of a process's messages: random ones that differ in their count, so that the kernel is not asked for each.
///
/// The first eight digits differ from one id to the next: people name a message by the beginning of its id.
final class MessageIDs: Sendable {
  private let origin = UUID.random()
  private let count = Atomic<UInt64>(0)

  /// Odd, so that 2^32 counts have as many products; and large, so that they do not look alike.
  private static let factor: UInt32 = 0x9E37_79B1

  /// An id, in the canonical form of a UUID.
  func next() -> String {
    let number = count.wrappingAdd(1, ordering: .relaxed).newValue
    var id = origin.uuid
    withUnsafeMutableBytes(of: &id) { bytes in
      func add(_ number: UInt32, at offset: Int) {
        let sum = UInt32(bigEndian: bytes.load(fromByteOffset: offset, as: UInt32.self)) &+ number
        bytes.storeBytes(of: sum.bigEndian, toByteOffset: offset, as: UInt32.self)
      }
      add(UInt32(truncatingIfNeeded: number) &* Self.factor, at: 0)
      add(UInt32(truncatingIfNeeded: number >> 32), at: 12)
    }
    return UUID(uuid: id).lowercase
  }
}
