internal import FoundationEssentials
internal import ReviewStore
internal import Reviews

/// Submits reviews in batches and counts the outcomes.
struct Submitter {
  /// A review that is in the database now.
  struct Submitted: Sendable {
    var review: NewReview
    var submission: Submission
  }

  private let store: ReviewStore
  /// Called with each batch as it is in the database.
  private let report: ([Submitted]) throws -> Void
  private(set) var faultCount = 0
  private static let batchMax = 500

  init(store: ReviewStore, report: @escaping ([Submitted]) throws -> Void) {
    self.store = store
    self.report = report
  }

  /// Submits the good ones and names the faults of the others on standard error.
  mutating func submit(_ entries: [SubmissionReader.Entry]) async throws {
    var good: [(place: String, review: NewReview)] = []
    for entry in entries {
      switch entry.result {
      case .success(let review): good.append((entry.place, review))
      case .failure(let faults): note(entry.place, faults.description)
      }
    }
    for start in stride(from: 0, to: good.count, by: Self.batchMax) {
      try await submit(batch: Array(good[start..<min(start + Self.batchMax, good.count)]))
    }
  }

  private mutating func submit(batch: [(place: String, review: NewReview)]) async throws {
    do {
      let submissions = try await store.submit(batch.map(\.review))
      try report(zip(batch, submissions).map { Submitted(review: $0.review, submission: $1) })
    } catch let fault as any StoreFault where fault.cause.isAboutOneRow {
      // One of them has failed the transaction of all: one by one the fault finds its line.
      for (place, review) in batch {
        do {
          try report([Submitted(review: review, submission: try await store.submit(review))])
        } catch let faults as NewReviewFaults {
          note(place, faults.description)
        } catch let fault as any StoreFault where fault.cause.isAboutOneRow {
          note(place, "\(fault)")
        }
      }
    }
  }

  private mutating func note(_ place: String, _ faults: String) {
    faultCount += 1
    Output.note("Error: \(place): \(DisplayText.safe(faults))")
  }
}
