"""The pages of the tool. They read, and change nothing."""

from fastapi import APIRouter

router = APIRouter()
