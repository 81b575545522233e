-- What all three servers begin with, beside pgbench's tables.
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, price numeric(8, 2) NOT NULL);
INSERT INTO product SELECT n, 'product ' || n, n * 1.25 FROM generate_series(1, 1000) n;
CREATE INDEX product_name ON product (name);
CREATE TABLE basket (id int PRIMARY KEY, product int REFERENCES product, pieces int CHECK (pieces > 0));
VACUUM ANALYZE product;
