//! The blog's data, in an embedded database.

use std::sync::Mutex;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::lock;

/// The tables, and what is in them at first.
const SCHEMA: &str = "
    CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE post (
        id INTEGER PRIMARY KEY,
        category_id INTEGER NOT NULL REFERENCES category (id),
        title TEXT NOT NULL,
        body TEXT NOT NULL
    );
    INSERT INTO category (id, name) VALUES (1, 'Birds'), (2, 'Boats'), (3, 'Weather');
    INSERT INTO post (id, category_id, title, body) VALUES
        (1, 1, 'The gulls have learnt the timetable',
         'Ten minutes before the ferry docks, they line up on the harbour wall. Nobody told them about the winter schedule, and yet they were on time on the first day of it.

I have begun to set my watch by the second gull from the left.'),
        (2, 1, 'An oystercatcher on the roof of the chandlery',
         'She has nested on the gravel up there for the third year. The owner has put up a sign that asks customers to look up before they slam the door.'),
        (3, 2, 'How the Marigold was caulked',
         'It takes two people, a mallet, and more cotton than anybody expects. We began at the keel and talked about everything but the weather.

By the evening she held water on the right side.'),
        (4, 2, 'A harbour master explains his knots',
         'There are four that he uses and forty that he can tie. The forty, he says, are for winter.'),
        (5, 3, 'Fog, and what to do in it',
         'Sit down. Put the kettle on. Count the horn: one long for the lighthouse, two short for the ferry, and anything else is somebody who is lost.'),
        (6, 3, 'Reading the sky before breakfast',
         'A red one means what they say it means. A green one means that you should have stayed in bed.');
";

/// A category.
#[derive(Debug, Clone)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
}

/// A post.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) id: i64,
    pub(super) category_id: i64,
    pub(super) category: String,
    pub(super) title: String,
    pub(super) body: String,
}

impl Post {
    /// Its paragraphs.
    pub(super) fn paragraphs(&self) -> impl Iterator<Item = &str> {
        self.body
            .split("\n\n")
            .map(str::trim)
            .filter(|paragraph| !paragraph.is_empty())
    }

    /// Its first paragraph.
    pub(super) fn opening(&self) -> &str {
        self.paragraphs().next().unwrap_or_default()
    }
}

const POST: &str = "SELECT post.id, category_id, category.name, title, body
    FROM post JOIN category ON category.id = category_id";

/// The blog.
#[derive(Debug)]
pub(super) struct Blog(Mutex<Connection>);

impl Blog {
    /// A blog with a few posts.
    pub(super) fn open() -> rusqlite::Result<Self> {
        let database = Connection::open_in_memory()?;
        database.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(database)))
    }

    /// All posts, the newest first; those of one category where one is given.
    pub(super) fn posts(&self, category: Option<i64>) -> rusqlite::Result<Vec<Post>> {
        let database = lock(&self.0);
        let mut query = database.prepare_cached(&format!(
            "{POST} WHERE category_id = ?1 OR ?1 IS NULL ORDER BY post.id DESC"
        ))?;
        query.query_map([category], read_post)?.collect()
    }

    /// One post.
    pub(super) fn post(&self, id: i64) -> rusqlite::Result<Option<Post>> {
        let query = format!("{POST} WHERE post.id = ?1");
        lock(&self.0).query_row(&query, [id], read_post).optional()
    }

    /// All categories.
    pub(super) fn categories(&self) -> rusqlite::Result<Vec<Category>> {
        let database = lock(&self.0);
        let mut query = database.prepare_cached("SELECT id, name FROM category ORDER BY id")?;
        query
            .query_map([], |row| {
                Ok(Category {
                    id: row.get(0)?,
                    name: row.get(1)?,
                })
            })?
            .collect()
    }

    /// One category.
    pub(super) fn category(&self, id: i64) -> rusqlite::Result<Option<Category>> {
        Ok(self
            .categories()?
            .into_iter()
            .find(|category| category.id == id))
    }

    /// Changes a post, and says whether there is one. It is committed when this returns.
    pub(super) fn save(&self, id: i64, title: &str, body: &str) -> rusqlite::Result<bool> {
        let update = "UPDATE post SET title = ?2, body = ?3 WHERE id = ?1";
        Ok(lock(&self.0).execute(update, params![id, title, body])? == 1)
    }

    /// Adds a post and answers with its id. It is committed when this returns.
    pub(super) fn add(&self, category: i64, title: &str, body: &str) -> rusqlite::Result<i64> {
        let database = lock(&self.0);
        let insert = "INSERT INTO post (category_id, title, body) VALUES (?1, ?2, ?3)";
        database.execute(insert, params![category, title, body])?;
        Ok(database.last_insert_rowid())
    }
}

fn read_post(row: &Row<'_>) -> rusqlite::Result<Post> {
    Ok(Post {
        id: row.get(0)?,
        category_id: row.get(1)?,
        category: row.get(2)?,
        title: row.get(3)?,
        body: row.get(4)?,
    })
}
