// The database's schema: how a file is made, recognised, brought up to date,
// and checked before it is used.
//
// A file of ours carries kApplicationId and, in user_version, how many of the
// migrations it has seen. Each migration is one transaction. What a database
// must look like is not written down a second time: it is what the migrations
// make of an empty one. So a migration that was released never changes again;
// a new schema is a new migration at the end.
//
// Times are microseconds since 1970, ids the 16 bytes of a UUID; columns in _us
// are durations in microseconds.
//   meta    One row. store_id: EventStore::id(). trimmed_through: everything up
//           to this sequence was removed. is_copy: 1 in a backup, which becomes
//           a store of its own (another store_id) when a gateway opens it.
//           last_delivery_id: no smaller id of a delivery is free, as of the
//           last removal of some.
//   events  id: Event.id. window_key, retained_key: what identifies the
//           delivery for a time, or as long as the row is there; one of the
//           two is NULL. retained_key begins with what grows with time, as id
//           does, so that their indexes are appended to. crc: CRC-32 of payload
//           and event, in this order. event: the message with its sequence.
//           payload: last, so that reading events alone leaves its pages alone.
//   deliveries
//           Those that did not become an event, and those that an older schema
//           kept. As waggle.v1.Delivery, whose numbers outcome has.
//           recorded_at: when it was committed; never decreases along the ids,
//           of which accepted deliveries have some. sequence, event_id: NULL
//           if it was refused. queue_us: how long it waited for its
//           transaction; NULL if it was refused.
//   accepted_deliveries
//           Those that became an event: see accepted_deliveries.h. A row holds
//           the deliveries with ids from first_id to last_id, whose events have
//           the sequences from first_sequence on. accepted_before: how many
//           there have been in the rows before, with those that were removed;
//           counted anew where the table was empty at a start. recorded_at: as
//           above. received_at: when the last of them was.
//   delivery_commits
//           What a row cannot know inside of its own transaction: how long that
//           took, for the deliveries with ids from first_id to last_id.
//           Delivery.commit_duration is queue_us and commit_us together.
//   streams One row for each Subscribe stream. filters: a serialised
//           waggle.v1.SubscribeRequest. after: it was sent only what comes
//           later. gone_at: when it had ended at the latest; NULL while it is
//           open. ended_at: when it ended; NULL if it was killed with its
//           gateway, too. through: everything up to here had been handed over
//           when it ended.
//   stream_progress
//           Everything up to `through` had been handed to the stream
//           (streams.id) by then.
#ifndef WAGGLE_STORE_SQLITE_SCHEMA_H_
#define WAGGLE_STORE_SQLITE_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "store/sqlite/data_directory.h"
#include "store/sqlite/sqlite.h"

namespace waggle {

// "Wggl".
inline constexpr int64_t kApplicationId = 0x5767676c;

// Bytes. Some events to a page: with SQLite's 4096, a group of events costs
// nearly twice the system calls to log, to checkpoint and to read again.
inline constexpr int64_t kPageSize = 8192;

// The version that this program writes: the number of migrations.
int SchemaVersion();

// Makes the directory's database if it has none. It appears under its name
// complete or not at all.
absl::Status CreateIfMissing(const DataDirectory& directory);

// FAILED_PRECONDITION if the file is not a database of ours, or is a backup
// beside the write-ahead log of another. Opens it for
// reading only and not through SQLite, which could change what is not ours.
// Before any connection to it, since closing it drops SQLite's locks.
absl::Status CheckIsOurs(const std::string& path);

// FAILED_PRECONDITION if the database is newer than this program.
absl::Status CheckNotNewer(sqlite::Database& db);

// Applies the migrations from the database's version up to `version`.
absl::Status Migrate(sqlite::Database& db, int version = SchemaVersion());

// DATA_LOSS if tables or indexes are not what the migrations made.
absl::Status CheckSchema(sqlite::Database& db);

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_SCHEMA_H_
