from tests.database import Database


async def test_every_role_can_log_in_to_a_fresh_database(database: Database) -> None:
    for role in ("owner", "auth", "booking", "gateway", "analyst", "operator"):
        connection = await database.connect(role)
        assert await connection.fetchval("SELECT session_user::text") == f"firingline_{role}"
        await connection.close()
