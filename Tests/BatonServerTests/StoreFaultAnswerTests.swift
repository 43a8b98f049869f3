import HTTPKit
import HTTPTypes
import PostgresClient
import ReviewStore
import Testing

@testable import BatonServer

@Suite("Answers to faults of the store")
struct StoreFaultAnswerTests {
  static let answers: [(any Error & Sendable, HTTPResponse.Status, message: String)] = [
    (PostgresError(.connectionFailed, "refused"), .serviceUnavailable, "Postgres cannot be reached"),
    (
      PostgresError(.connectionFailed, "bad host", sqlState: "22023"), .serviceUnavailable,
      "Postgres cannot be reached"
    ),
    (PostgresError(.connectionLost, "gone"), .serviceUnavailable, "Postgres cannot be reached"),
    (PostgresError(.closed, "closed"), .serviceUnavailable, "Postgres cannot be reached"),
    (PostgresError(.cancelled, "cancelled"), .serviceUnavailable, "Postgres cannot be reached"),
    (PostgresError(.encoding, "NUL"), .badRequest, "a value cannot be stored"),
    (PostgresError(.decoding, "not a number"), .internalServerError, "internal error"),
    (PostgresError(.server("40P01"), "deadlock"), .serviceUnavailable, "Postgres is busy"),
    (PostgresError(.server("57014"), "too slow"), .serviceUnavailable, "Postgres is busy"),
    (PostgresError(.server("53300"), "full"), .serviceUnavailable, "Postgres is busy"),
    (PostgresError(.server("25006"), "read-only"), .serviceUnavailable, "Postgres is busy"),
    (PostgresError(.server("57P04"), "dropped"), .internalServerError, "internal error"),
    (PostgresError(.server("42P01"), "no table"), .serviceUnavailable, "baton migrate"),
    (PostgresError(.server("42703"), "no column"), .serviceUnavailable, "baton migrate"),
    (PostgresError(.server("22003"), "S3cr3t"), .badRequest, "not one that Postgres can store"),
    (PostgresError(.server("23514"), "S3cr3t"), .unprocessableContent, "check_violation"),
    (PostgresError(.server("42501"), "S3cr3t"), .internalServerError, "internal error"),
    (CancellationError(), .serviceUnavailable, "shutting down"),
    (HTTPFault(.notFound, "no review"), .notFound, "no review"),
  ]

  @Test("an error has one answer, without Postgres's own words", arguments: answers.indices)
  func answer(_ index: Int) {
    let (error, status, message) = Self.answers[index]
    let fault = HTTPFault(error)
    #expect(fault.status == status && fault.message.contains(message), "\(error): \(fault)")
    #expect(!fault.message.contains("S3cr3t"))
  }

  @Test("only a change that lacks a right names the role")
  func rights() async throws {
    func answer(_ error: PostgresError) async -> (any Error)? {
      do {
        return try await HTTPFault.namingRights { throw error }
      } catch {
        return error
      }
    }
    let lacking = try #require(await answer(PostgresError(.server("42501"), "no right")) as? HTTPFault)
    #expect(lacking.status == .forbidden && lacking.message.contains("baton_operator"))
    #expect(await answer(PostgresError(.server("42P01"), "no table")) is PostgresError)
  }
}
