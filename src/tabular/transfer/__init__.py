"""Journaled, verified, resumable copying of objects and tables between any two stores."""
