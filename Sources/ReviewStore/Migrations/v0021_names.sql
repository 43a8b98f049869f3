-- Names become words of commands (`git fetch -- origin …`), paths of addresses and lines of prompts. What git, GitHub and GitLab themselves
-- refuse is refused here too, and a hyphen in front, which would make an option of a name. The same rules as Sources/Reviews/OutsideName.swift.
--
-- Triggers, not constraints: a constraint would also be looked at when another column of an older row changes, so that a review with such
-- a name could be neither leased nor ended. An older row fails with name_refused when it is prepared. The conditions stand in
-- the triggers themselves, so that the function is called for a refused name alone.

CREATE FUNCTION baton_refuse_name() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'code_reviews.% is not %', TG_ARGV[0], TG_ARGV[1]
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
          COLUMN = TG_ARGV[0], HINT = TG_ARGV[2];
END $$;

CREATE TRIGGER code_reviews_repo_full_name
  BEFORE INSERT OR UPDATE OF repo_full_name ON code_reviews
  FOR EACH ROW WHEN (NEW.repo_full_name !~ '^[A-Za-z0-9._+][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)+$'
                     OR NEW.repo_full_name ~ '(^|/)\.{1,2}(/|$)')
  EXECUTE FUNCTION baton_refuse_name(
    'repo_full_name', 'a repository', 'owner/name, of letters, digits, ".", "_", "+" and "-", without a hyphen in front');

CREATE TRIGGER code_reviews_base_ref
  BEFORE INSERT OR UPDATE OF base_ref ON code_reviews
  FOR EACH ROW WHEN (NEW.base_ref ~ '[\u0001-\u0020\u007f~^:?*[\\]|\.\.|@\{|//|^[-/]|[/.]$|(^|/)\.|\.lock(/|$)'
                     OR NEW.base_ref IN ('', '@'))
  EXECUTE FUNCTION baton_refuse_name(
    'base_ref', 'a branch', 'What git check-ref-format refuses is refused, and a hyphen in front.');

CREATE TRIGGER code_reviews_head_ref
  BEFORE INSERT OR UPDATE OF head_ref ON code_reviews
  FOR EACH ROW WHEN (NEW.head_ref ~ '[\u0001-\u0020\u007f~^:?*[\\]|\.\.|@\{|//|^[-/]|[/.]$|(^|/)\.|\.lock(/|$)'
                     OR NEW.head_ref IN ('', '@'))
  EXECUTE FUNCTION baton_refuse_name(
    'head_ref', 'a branch', 'What git check-ref-format refuses is refused, and a hyphen in front.');

CREATE TRIGGER code_reviews_head_sha
  BEFORE INSERT OR UPDATE OF head_sha ON code_reviews
  FOR EACH ROW WHEN (NEW.head_sha !~ '^[A-Za-z0-9][A-Za-z0-9-]*$')
  EXECUTE FUNCTION baton_refuse_name('head_sha', 'a commit', 'Letters, digits and hyphens, without a hyphen in front.');

CREATE TRIGGER code_reviews_pr_author
  BEFORE INSERT OR UPDATE OF pr_author ON code_reviews
  FOR EACH ROW WHEN (NEW.pr_author ~ '[\u0001-\u001f\u007f]')
  EXECUTE FUNCTION baton_refuse_name('pr_author', 'a name', 'It has a control character.');

CREATE TRIGGER code_reviews_pr_url
  BEFORE INSERT OR UPDATE OF pr_url ON code_reviews
  FOR EACH ROW WHEN (NEW.pr_url !~ '^[A-Za-z0-9]' OR NEW.pr_url ~ '[\u0001-\u0020\u007f"<>\\^`{|}]'
                     OR (NEW.pr_url ~ '^[A-Za-z][A-Za-z0-9+.-]*:' AND NEW.pr_url !~ '^https?://'))
  EXECUTE FUNCTION baton_refuse_name('pr_url', 'a web address', 'http or https, without spaces, quotes and brackets.');
