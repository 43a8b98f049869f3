import Testing

@Suite("The ledger in memory keeps to the specification")
struct InMemoryConformanceTests {
  @Test("a statement answers as the review stands", arguments: Rule.all, Situation.allCases)
  func rule(_ rule: Rule, _ situation: Situation) async throws {
    try await rule.check(situation, in: try await Play(InMemoryWorld()))
  }

  @Test("each step of a story has the outcome that the specification names", arguments: Story.all)
  func story(_ story: Story) async throws {
    try await story.tell(try await Play(InMemoryWorld()))
  }
}

@Suite("The ledger in Postgres keeps to the specification", .serialized, SharedDatabaseTrait())
struct PostgresConformanceTests {
  @Test("a statement answers as the review stands", arguments: Rule.all, Situation.allCases)
  func rule(_ rule: Rule, _ situation: Situation) async throws {
    try await rule.check(situation, in: try await Play(SharedDatabaseTrait.world()))
  }

  @Test("each step of a story has the outcome that the specification names", arguments: Story.all)
  func story(_ story: Story) async throws {
    try await story.tell(try await Play(SharedDatabaseTrait.world()))
  }
}
