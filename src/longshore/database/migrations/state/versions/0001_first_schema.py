"""First schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from longshore.database.task_counts import triggers
from longshore.database.task_indexes import SORTED_TASKS, null_first_indexes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _words() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _create_answers() -> None:
    op.create_table(
        "answers",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("creation_date", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("request", name=op.f("uq_answers_request")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_answers_creation_date"), "answers", ["creation_date"], unique=False)


def _index_tasks() -> None:
    for name, carried in SORTED_TASKS.items():
        columns = ["owner_id", name, "id", *carried]
        op.create_index(f"ix_tasks_owner_id_{name}", "tasks", columns)
    op.create_index(
        "ix_tasks_rare",
        "tasks",
        ["owner_id", "status", "priority", "workflow_type", "workflow_action", "id", "name"],
    )


def upgrade() -> None:
    _create_answers()
    op.create_table(
        "containers",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("quota_total_size", sa.BigInteger(), nullable=False),
        sa.Column("quota_on_cache", sa.Integer(), nullable=False),
        sa.Column("guest_right", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=True),
        sa.Column("last_update", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_containers")),
        sa.UniqueConstraint("name", name=op.f("uq_containers_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "execution_log",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_execution_log")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_execution_log_execution_id"), "execution_log", ["execution_id"], unique=False
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("controller", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("creation_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_status", "jobs", ["status", "creation_ns"], unique=False)
    op.create_index("ix_jobs_resource_id", "jobs", ["resource_id", "creation_ns"], unique=False)
    op.create_table(
        "nas",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("price", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nas")),
        sa.UniqueConstraint("name", name=op.f("uq_nas_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pools",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pools")),
        sa.UniqueConstraint("name", name=op.f("uq_pools_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "users",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("administrator", sa.Boolean(), nullable=False),
        sa.Column("creation_date", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_keys",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_end", sa.String(length=4), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("creation_date", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "nas_shares",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("nas_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pool_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password_encrypted", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["nas_id"], ["nas.id"], name=op.f("fk_nas_shares_nas_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_nas_shares_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nas_shares")),
        sa.UniqueConstraint("nas_id", "name", name=op.f("uq_nas_shares_nas_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_nas_shares_nas_id"), "nas_shares", ["nas_id"], unique=False)
    op.create_index(op.f("ix_nas_shares_pool_id"), "nas_shares", ["pool_id"], unique=False)
    op.create_table(
        "task_executions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("workflow_type", sa.Text(), nullable=True),
        sa.Column("workflow_action", sa.Text(), nullable=True),
        sa.Column("source_type", sa.Text(), nullable=True),
        sa.Column("destination_type", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("log_time", sa.BigInteger(), nullable=False),
        sa.Column("job_started", sa.BigInteger(), nullable=True),
        sa.Column("job_finished", sa.BigInteger(), nullable=True),
        sa.Column("to_process_size", sa.BigInteger(), nullable=False),
        sa.Column("processed_size", sa.BigInteger(), nullable=False),
        sa.Column("to_process_files", sa.BigInteger(), nullable=False),
        sa.Column("processed_files", sa.BigInteger(), nullable=False),
        sa.Column("finalized_files", sa.BigInteger(), nullable=False),
        sa.Column("failed_files", sa.BigInteger(), nullable=False),
        sa.Column("estimation_time", sa.BigInteger(), nullable=True),
        sa.Column("bandwidth", sa.BigInteger(), nullable=True),
        sa.Column("active_seconds", sa.Float(), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=True),
        sa.Column("outcomes_removed", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_task_executions_owner_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_executions")),
    )
    op.create_index(
        op.f("ix_task_executions_owner_id"), "task_executions", ["owner_id"], unique=False
    )
    op.create_index("ix_task_executions_status", "task_executions", ["status"], unique=False)
    op.create_index(
        op.f("ix_task_executions_task_id"), "task_executions", ["task_id"], unique=False
    )
    op.create_table(
        "tasks",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", _words(), nullable=False),
        sa.Column("comment", _words(), nullable=True),
        sa.Column("workflow_type", _words(), nullable=True),
        sa.Column("workflow_action", _words(), nullable=True),
        sa.Column("source_type", _words(), nullable=True),
        sa.Column("destination_type", _words(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("conflict_resolution", _words(), nullable=True),
        sa.Column("action", _words(), nullable=False),
        sa.Column("activate", sa.Integer(), nullable=False),
        sa.Column("creation_date", sa.BigInteger(), nullable=False),
        sa.Column("creation_username", _words(), nullable=False),
        sa.Column("modification_date", sa.BigInteger(), nullable=False),
        sa.Column("modification_username", _words(), nullable=False),
        sa.Column("status", _words(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("job_started", sa.BigInteger(), nullable=True),
        sa.Column("job_finished", sa.BigInteger(), nullable=True),
        sa.Column("processed_size", sa.BigInteger(), nullable=False),
        sa.Column("to_process_size", sa.BigInteger(), nullable=False),
        sa.Column("delete", sa.Integer(), nullable=False),
        sa.Column("local_server_path", _words(), nullable=True),
        sa.Column("execution_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_tasks_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tasks_name", "tasks", ["name", "id"], unique=False)
    op.create_index("ix_tasks_owner_id", "tasks", ["owner_id", "id"], unique=False)
    _index_tasks()
    op.create_table(
        "task_counts",
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("status", _words(), nullable=False),
        sa.Column("workflow_type", _words(), nullable=True),
        sa.Column("workflow_action", _words(), nullable=True),
        sa.Column("source_type", _words(), nullable=True),
        sa.Column("destination_type", _words(), nullable=True),
        sa.Column("conflict_resolution", _words(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("activate", sa.Integer(), nullable=False),
        sa.Column("action", _words(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "ix_task_counts_owner_id",
        "task_counts",
        ["owner_id", "status", "workflow_type", "workflow_action", "priority"],
    )
    for statement, dialect in (*triggers(), *null_first_indexes()):
        if op.get_bind().dialect.name == dialect:
            op.execute(sa.text(statement))
    op.create_table(
        "task_callbacks",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("script", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_callbacks_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_callbacks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_task_callbacks_task_id"), "task_callbacks", ["task_id"], unique=False)
    op.create_table(
        "task_destinations",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pool_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "container_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("given_pool", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["container_id"], ["containers.id"], name=op.f("fk_task_destinations_container_id")
        ),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pools.id"], name=op.f("fk_task_destinations_pool_id")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_destinations_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_destinations")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_task_destinations_container_id"),
        "task_destinations",
        ["container_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_task_destinations_pool_id"), "task_destinations", ["pool_id"], unique=False
    )
    op.create_index(
        op.f("ix_task_destinations_task_id"), "task_destinations", ["task_id"], unique=False
    )
    op.create_table(
        "task_metadata",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_metadata_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_metadata")),
        sa.UniqueConstraint("task_id", "key", name=op.f("uq_task_metadata_task_id_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_task_metadata_task_id"), "task_metadata", ["task_id"], unique=False)
    op.create_table(
        "task_options",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_options_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_options")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_task_options_task_id"), "task_options", ["task_id"], unique=False)
    op.create_table(
        "task_sources",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pool_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "container_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("given_pool", sa.Boolean(), nullable=False),
        sa.Column("range_first", sa.BigInteger(), nullable=True),
        sa.Column("range_last", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["container_id"], ["containers.id"], name=op.f("fk_task_sources_container_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_task_sources_pool_id")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_sources_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_sources")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_task_sources_container_id"), "task_sources", ["container_id"], unique=False
    )
    op.create_index(op.f("ix_task_sources_pool_id"), "task_sources", ["pool_id"], unique=False)
    op.create_index(op.f("ix_task_sources_task_id"), "task_sources", ["task_id"], unique=False)
    op.create_table(
        "user_configurations",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_user_configurations_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_configurations")),
        sa.UniqueConstraint("user_id", "key", name=op.f("uq_user_configurations_user_id_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "container_privileges",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "container_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("privilege", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["container_id"],
            ["containers.id"],
            name=op.f("fk_container_privileges_container_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_container_privileges")),
        sa.UniqueConstraint(
            "container_id",
            "name",
            "type",
            name=op.f("uq_container_privileges_container_id_name_type"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "primary_scans",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("pool_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("operand", sa.Float(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pools.id"], name=op.f("fk_primary_scans_pool_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_primary_scans")),
        sa.UniqueConstraint("pool_id", name=op.f("uq_primary_scans_pool_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "task_schedules",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rrule", sa.Text(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("creation_date", sa.BigInteger(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=True),
        sa.Column("missed_count", sa.BigInteger(), nullable=False),
        sa.Column("missed_first", sa.BigInteger(), nullable=True),
        sa.Column("missed_last", sa.BigInteger(), nullable=True),
        sa.Column("skipped_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_schedules_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_schedules")),
        sa.UniqueConstraint("task_id", name=op.f("uq_task_schedules_task_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_schedules_next", "task_schedules", ["done", "next"], unique=False)
    op.create_table(
        "task_limits",
        sa.Column(
            "task_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("bandwidth", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_limits_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task_limits")),
    )
    op.create_table(
        "storage_limits",
        sa.Column("storage_kind", sa.SmallInteger(), nullable=False),
        sa.Column("storage_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bandwidth", sa.BigInteger(), nullable=True),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("storage_kind", "storage_id", name=op.f("pk_storage_limits")),
    )
    op.create_table(
        "waits",
        sa.Column("execution_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", name=op.f("pk_waits")),
    )
