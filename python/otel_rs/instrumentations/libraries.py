"""Which library an instrumentation is for."""

from __future__ import annotations

_PREFIX = "opentelemetry.instrumentation."

# By the instrumentor in the entry point: the module whose import shows that a program uses the library, and after which
# everything that the instrumentor touches can be imported. Not here, and so loaded at the start, is what is for no
# library (exceptions, logging, system metrics, threading), what we have not read, and that for openai-agents: programs
# have modules of their own with the name `agents`.
_LIBRARIES = {
    "aio_pika:AioPikaInstrumentor": "aio_pika",
    "aiohttp_client:AioHttpClientInstrumentor": "aiohttp",
    "aiohttp_server:AioHttpServerInstrumentor": "aiohttp",
    "aiokafka:AIOKafkaInstrumentor": "aiokafka",
    "aiopg:AiopgInstrumentor": "aiopg",
    "asyncclick:AsyncClickInstrumentor": "asyncclick",
    "asyncio:AsyncioInstrumentor": "asyncio",
    "asyncpg:AsyncPGInstrumentor": "asyncpg",
    "boto3sqs:Boto3SQSInstrumentor": "boto3",
    "botocore:AiobotocoreInstrumentor": "aiobotocore",
    "botocore:BotocoreInstrumentor": "botocore",
    "cassandra:CassandraInstrumentor": "cassandra",
    "celery:CeleryInstrumentor": "celery",
    "click:ClickInstrumentor": "click",
    "confluent_kafka:ConfluentKafkaInstrumentor": "confluent_kafka",
    # The instrumentor reads the program's settings, which are modules of the program that may import django themselves.
    # Nothing takes a request before this module is imported.
    "django:DjangoInstrumentor": "django.core.handlers.base",
    "falcon:FalconInstrumentor": "falcon",
    "fastapi:FastAPIInstrumentor": "fastapi",
    "flask:FlaskInstrumentor": "flask",
    "google_genai:GoogleGenAiSdkInstrumentor": "google.genai",
    "grpc:GrpcAioInstrumentorClient": "grpc",
    "grpc:GrpcAioInstrumentorServer": "grpc",
    "grpc:GrpcInstrumentorClient": "grpc",
    "grpc:GrpcInstrumentorServer": "grpc",
    "httpx:HTTPX2ClientInstrumentor": "httpx2",
    "httpx:HTTPXClientInstrumentor": "httpx",
    "jinja2:Jinja2Instrumentor": "jinja2",
    "kafka:KafkaInstrumentor": "kafka",
    "mysql:MySQLInstrumentor": "mysql.connector",
    "mysqlclient:MySQLClientInstrumentor": "MySQLdb",
    "openai_v2:OpenAIInstrumentor": "openai",
    "pika:PikaInstrumentor": "pika",
    "psycopg2:Psycopg2Instrumentor": "psycopg2",
    "psycopg:PsycopgInstrumentor": "psycopg",
    "pymemcache:PymemcacheInstrumentor": "pymemcache",
    "pymongo:PymongoInstrumentor": "pymongo",
    "pymssql:PyMSSQLInstrumentor": "pymssql",
    "pymysql:PyMySQLInstrumentor": "pymysql",
    "pyramid:PyramidInstrumentor": "pyramid",
    "redis:RedisInstrumentor": "redis",
    "remoulade:RemouladeInstrumentor": "remoulade",
    "requests:RequestsInstrumentor": "requests",
    "sqlalchemy:SQLAlchemyInstrumentor": "sqlalchemy",
    "sqlite3:SQLite3Instrumentor": "sqlite3",
    "starlette:StarletteInstrumentor": "starlette",
    "structlog:StructlogInstrumentor": "structlog",
    "tornado:TornadoInstrumentor": "tornado",
    "tortoiseorm:TortoiseORMInstrumentor": "tortoise",
    "urllib3:URLLib3Instrumentor": "urllib3",
    "urllib:URLLibInstrumentor": "urllib.request",
}


def library_of(instrumentor: str) -> str | None:
    """The module to wait for, by the entry point's value; None if it is not known."""
    return _LIBRARIES.get(instrumentor.removeprefix(_PREFIX)) if instrumentor.startswith(_PREFIX) else None
